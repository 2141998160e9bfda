"""A Kafka-protocol broker for development: one process, one node, loopback only, no Java.

aiokafka, Faust and librdkafka (confluent-kafka, kcat) use it unchanged. It keeps append-only segment files,
so data, topics, settings and committed offsets survive a restart; memory grows with the sparse index of the
files, not with what is in them.

What it does: produce and fetch with long polls, idempotent producers, consumer groups of the classic
protocol, topics with settings, retention by time and size, compaction, deleting records, groups and topics.

What it does not do, and how a client is told:

- transactions: TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53) to InitProducerId, FindCoordinator and Produce;
- authentication, TLS, ACLs, quotas, delegation tokens, share groups, the `consumer` group protocol of
  KIP-848, static membership, flexible versions: not among its ApiVersions, and a client that sends them
  nevertheless is disconnected, as Kafka does;
- more than one replica: INVALID_REPLICATION_FACTOR (38); fetch sessions: it answers outside of them (id 0);
- `message.timestamp.type=LogAppendTime`, a broker-side `compression.type`: INVALID_CONFIG (40);
- record formats before 2 (Kafka 0.11): CORRUPT_MESSAGE (2);
- compaction of snappy, lz4 and zstd batches: they are stored and served, but kept whole;
- an answer is given when the operating system has the bytes; they are forced to disk on a clean stop only;
- committed offsets do not expire.
"""

from jitr.sandbox.broker.node import BrokerLimits
from jitr.sandbox.broker.server import Broker

__all__ = ["Broker", "BrokerLimits"]
