"""Asks Kafka which rights we have: a right that is missing is named before anything is done without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError
from aiokafka.protocol.admin import DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from jitr.router.servers.kafka import client_options, why
from jitr.schemas.errors import UnavailableError
from jitr.schemas.rights import KafkaRight
from jitr.schemas.servers import KafkaSettings

# org.apache.kafka.common.acl.AclOperation
_BITS: Final = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8}
_UNKNOWN: Final = -(2**31)
_TOPIC_REFUSED: Final = 29
_GROUP_REFUSED: Final = 30
_PATIENCE_S: Final = 10.0


class _TopicsResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("cluster_authorized_operations", Int32),
    )


class _TopicsRequestV8(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _TopicsResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _TopicsRequest(Request[_TopicsRequestV8]):  # type: ignore[misc]
    """What aiokafka asks ends at version 5, which does not tell of rights."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: Callable[..., Any]) -> Any:
        return request_struct_class(self._topics, False, False, True)


class _GroupsRequestV3(RequestStruct):  # type: ignore[misc]
    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = Schema(("groups", Array(String("utf-8"))), ("include_authorized_operations", Boolean))


class _GroupsRequest(Request[_GroupsRequestV3]):  # type: ignore[misc]
    """aiokafka reads the answer of version 3 as if it were of version 2."""

    API_KEY = 15

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(self, request_struct_class: Callable[..., Any]) -> Any:
        return request_struct_class(self._groups, True)


async def missing(kafka: KafkaSettings, rights: Iterable[KafkaRight]) -> list[KafkaRight]:
    """The rights of these that Kafka does not give us.

    None is missed on what is not there, nor where a broker does not tell (one older than 2.3).

    Raises
    ------
    UnavailableError
        If Kafka does not answer.
    """
    asked = list(rights)
    admin: Any = AIOKafkaAdminClient(**client_options(kafka), request_timeout_ms=20_000)
    try:
        await admin.start()
        allowed = await _topics(admin, sorted({right.name for right in asked if right.kind == "topic"}))
        allowed |= await _groups(admin, sorted({right.name for right in asked if right.kind == "group"}))
    except NotImplementedError:
        return []
    except KafkaError as error:
        raise UnavailableError(await why(kafka, error)) from error
    finally:
        await admin.close()
    return [
        right
        for right in asked
        if (bits := allowed.get((right.kind, right.name), _UNKNOWN)) != _UNKNOWN
        and not bits >> _BITS[right.operation] & 1
    ]


async def must_have(kafka: KafkaSettings, rights: Iterable[KafkaRight]) -> None:
    """Raise where one is missing.

    Raises
    ------
    UnavailableError
        Naming each right that is missing, or if Kafka does not answer.
    """
    lacking = await missing(kafka, rights)
    if lacking:
        raise UnavailableError(says(kafka, lacking))


def says(kafka: KafkaSettings, lacking: Sequence[KafkaRight]) -> str:
    """What is missing, and the mend."""
    named = ", ".join(dict.fromkeys(str(right) for right in lacking))
    return f"Kafka at {kafka.shown} does not give us: {named}; `jitr doctor --acls` prints all that is needed"


async def _topics(admin: Any, names: list[str]) -> dict[tuple[str, str], int]:
    if not names:
        return {}
    answer = await admin._send_request(_TopicsRequest(names))
    return {
        ("topic", name): 0 if code == _TOPIC_REFUSED else _UNKNOWN if code else bits
        for code, name, _, _, bits in answer.topics
    }


async def _groups(admin: Any, names: list[str]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for name in names:
        try:
            node = await _coordinator(admin, name)
            answer = await admin._send_request(_GroupsRequest([name]), node)
        except KafkaError as error:
            if getattr(error, "errno", None) != _GROUP_REFUSED:
                raise
            found["group", name] = 0
            continue
        for code, group, *_, bits in answer.groups:
            found["group", group] = 0 if code == _GROUP_REFUSED else _UNKNOWN if code else bits
    return found


async def _coordinator(admin: Any, group: str) -> int:
    """Who keeps a group; the first group of a new Kafka waits until the topic for it is made."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while True:
        try:
            node: int = await admin.find_coordinator(group)
            return node
        except GroupCoordinatorNotAvailableError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.2)
