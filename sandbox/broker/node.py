"""What every request handler works on: the one node's topics, groups, producer ids and limits."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec

from jitr.sandbox.broker.compaction import plan_of, rewrite, swap
from jitr.sandbox.broker.coordinator import Coordinator
from jitr.sandbox.broker.log import PartitionLog
from jitr.sandbox.broker.offsets import CommittedOffsets
from jitr.sandbox.broker.segment import OpenFiles
from jitr.sandbox.broker.topics import BrokerTopics
from jitr.sandbox.broker.wire.wire import WireReader

_log = logging.getLogger(__name__)

NODE_ID = 1
_PRODUCER_ID_BLOCK = 1000


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What a client may ask of the broker, under Kafka's names of these settings."""

    auto_create_topics: bool = True
    num_partitions: int = 1
    socket_request_max_bytes: int = 32 * 1024 * 1024
    fetch_max_bytes: int = 55 * 1024 * 1024
    max_connections: int = 1000
    group_initial_rebalance_delay_s: float = 0.2
    group_min_session_timeout_s: float = 0.1
    group_max_session_timeout_s: float = 1800.0
    retention_check_s: float = 1.0


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request, its header read; the reader stands at the body."""

    version: int
    client_id: str
    client_host: str
    body: WireReader


class _Identity(msgspec.Struct):
    cluster_id: str
    next_producer_id: int = 0


class Node:
    """The state of the broker behind its sockets.

    Parameters
    ----------
    folder : Path
        Where everything is kept; made if missing, taken up again if not.
    limits : BrokerLimits
        What clients may ask.
    clock : callable
        Unix time in seconds.
    """

    def __init__(self, folder: Path, limits: BrokerLimits, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.limits = limits
        self.host = ""
        self.port = 0
        self._clock = clock
        self._files = OpenFiles()
        self.topics = BrokerTopics(folder / "topics", self._files, clock)
        self.groups = Coordinator(
            CommittedOffsets(folder / "offsets.jsonl"), limits.group_initial_rebalance_delay_s
        )
        self._identity_path = folder / "identity.json"
        if self._identity_path.exists():
            self._identity = msgspec.json.decode(self._identity_path.read_bytes(), type=_Identity)
        else:
            self._identity = _Identity(uuid4().hex[:22])
        self._next_producer_id = self._identity.next_producer_id
        self._reserve_producer_ids()

    @property
    def cluster_id(self) -> str:
        return self._identity.cluster_id

    def _reserve_producer_ids(self) -> None:
        self._identity.next_producer_id = self._next_producer_id + _PRODUCER_ID_BLOCK
        part = self._identity_path.with_suffix(".new")
        part.write_bytes(msgspec.json.encode(self._identity))
        part.replace(self._identity_path)

    def new_producer_id(self) -> int:
        """An id no producer had before, over restarts too."""
        if self._next_producer_id >= self._identity.next_producer_id:
            self._reserve_producer_ids()
        self._next_producer_id += 1
        return self._next_producer_id - 1

    def delete_topic(self, name: str) -> None:
        """Remove a topic, its data and what groups committed; raises what `BrokerTopics.delete` does."""
        self.topics.delete(name)
        self.groups.offsets.forget_topic(name)

    async def upkeep(self) -> None:
        """Expire and compact, for ever; one log after the other, so that clients hardly notice."""
        while True:
            await asyncio.sleep(self.limits.retention_check_s)
            for topic in self.topics:
                for log in topic.partitions:
                    if log.closed:
                        continue
                    try:
                        log.expire()
                        await self._compact(log)
                    except OSError:  # a full disk, say: the other logs and the next round may fare better
                        _log.exception("retention and compaction failed in %s", log.folder)
                await asyncio.sleep(0)

    async def _compact(self, log: PartitionLog) -> None:
        plan = plan_of(log, self._clock())
        if plan is None:
            return
        log.cleaning = True
        try:
            done, clean_until = await asyncio.to_thread(rewrite, plan)
            swap(log, done, clean_until, self._files)
        except FileNotFoundError:
            if not log.closed:  # a topic may be deleted while it is compacted
                raise
        finally:
            log.cleaning = False

    def close(self) -> None:
        """Write everything through and let go of files and timers."""
        self.groups.stop()
        self.groups.offsets.close()
        self._files.close(sync=True)
