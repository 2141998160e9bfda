"""Topics are made before an agent starts: Faust ignores a source topic that is not there."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from jitr.router.servers.kafka import client_options, why
from jitr.router.servers.rights import says
from jitr.schemas.errors import UnavailableError
from jitr.schemas.rights import KafkaRight
from jitr.schemas.servers import KafkaSettings
from jitr.schemas.topics import Topic


async def create_missing(kafka: KafkaSettings, topics: Iterable[Topic]) -> list[str]:
    """Make the topics that do not exist yet; an existing one is left as it is.

    Each partition has three copies, or as many as there are brokers.

    Parameters
    ----------
    kafka : KafkaSettings
    topics : iterable of Topic

    Returns
    -------
    list of str
        The names of those that were made.

    Raises
    ------
    UnavailableError
        If the broker cannot be reached or refuses.
    """
    admin = AIOKafkaAdminClient(**client_options(kafka), request_timeout_ms=20_000)
    try:
        await admin.start()
        there = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in there]
        if not missing:
            return []
        cluster = await admin.describe_cluster()
        copies = max(1, min(3, len(cluster["brokers"])))
        answer = await admin.create_topics(
            [
                NewTopic(
                    topic.name,
                    num_partitions=topic.partitions,
                    replication_factor=copies,
                    topic_configs=topic.config,
                )
                for topic in missing
            ]
        )
        made, refused = [], []
        for name, code, *rest in answer.topic_errors:
            kind = for_code(code)
            if code == 0:
                made.append(name)
            elif kind in (TopicAuthorizationFailedError, ClusterAuthorizationFailedError):
                refused.append(KafkaRight("worker", "topic", name, "Create"))
            elif kind is not TopicAlreadyExistsError:
                raise UnavailableError(f"Kafka refused to make topic {name}: {kind.__name__} {rest}")
        if refused:
            raise UnavailableError(says(kafka, refused))
        return made
    except KafkaError as error:
        raise UnavailableError(await why(kafka, error)) from error
    finally:
        await admin.close()
