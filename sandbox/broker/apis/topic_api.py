"""Requests about topics: Metadata, CreateTopics, DeleteTopics, CreatePartitions."""

from collections.abc import Callable
from typing import ParamSpec

from jitr.sandbox.broker.node import NODE_ID, ApiRequest, Node
from jitr.sandbox.broker.topics import BrokerTopic
from jitr.sandbox.broker.wire.codes import Code, RefusalError
from jitr.sandbox.broker.wire.wire import Writer

P = ParamSpec("P")


def outcome(action: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> tuple[Code, str | None]:
    """NONE if the action went through, or the code and message it was refused with."""
    try:
        action(*args, **kwargs)
    except RefusalError as refusal:
        return refusal.code, refusal.message
    return Code.NONE, None


async def metadata(node: Node, request: ApiRequest) -> Writer:
    body, version = request.body, request.version
    names = body.nullable_array(body.string)
    may_create = node.limits.auto_create_topics and (version < 4 or body.boolean())
    if names is None or (version == 0 and not names):
        names = [topic.name for topic in node.topics]

    def write_partition(out: Writer, partition: int) -> None:
        out.int16(Code.NONE).int32(partition).int32(NODE_ID)
        out.array([NODE_ID], Writer.int32).array([NODE_ID], Writer.int32)
        if version >= 5:
            out.int32(0)

    def write_topic(out: Writer, name: str) -> None:
        code, topic = _look_up(node, name, may_create)
        out.int16(code).string(name)
        if version >= 1:
            out.boolean(False)
        out.array(range(len(topic.partitions) if topic else 0), write_partition)

    out = Writer()
    if version >= 3:
        out.int32(0)
    out.int32(1).int32(NODE_ID).string(node.host).int32(node.port)
    if version >= 1:
        out.string(None)
    if version >= 2:
        out.string(node.cluster_id)
    if version >= 1:
        out.int32(NODE_ID)
    return out.array(names, write_topic)


def _look_up(node: Node, name: str, may_create: bool) -> tuple[Code, BrokerTopic | None]:
    topic = node.topics.get(name)
    try:
        if topic is None:
            topic = (
                node.topics.create(name, node.limits.num_partitions, {})
                if may_create
                else node.topics.existing(name)
            )
    except RefusalError as refusal:
        return refusal.code, None
    return Code.NONE, topic


async def create_topics(node: Node, request: ApiRequest) -> Writer:
    body, version = request.body, request.version

    def wanted() -> tuple[str, int, int, list[tuple[int, list[int]]], dict[str, str | None]]:
        return (
            body.string(),
            body.int32(),
            body.int16(),
            body.array(lambda: (body.int32(), body.array(body.int32))),
            dict(body.array(lambda: (body.string(), body.nullable_string()))),
        )

    topics = body.array(wanted)
    body.int32()
    validate_only = version >= 1 and body.boolean()

    def create(
        name: str,
        partitions: int,
        replication: int,
        assignment: list[tuple[int, list[int]]],
        config: dict[str, str | None],
    ) -> None:
        if assignment:
            partitions, replication = len(assignment), max(len(nodes) for _, nodes in assignment)
        if replication not in (-1, 1):
            raise RefusalError(
                Code.INVALID_REPLICATION_FACTOR, f"{replication} replicas asked, this broker is alone"
            )
        if partitions == -1:
            partitions = node.limits.num_partitions
        if validate_only:
            node.topics.check_new(name, partitions, config)
        else:
            node.topics.create(name, partitions, config)

    out = Writer()
    if version >= 2:
        out.int32(0)
    results = [(item[0], *outcome(create, *item)) for item in topics]
    return _write_results(out, results, with_message=version >= 1)


async def delete_topics(node: Node, request: ApiRequest) -> Writer:
    body = request.body
    names = body.array(body.string)
    out = Writer()
    if request.version >= 1:
        out.int32(0)
    results = [(name, *outcome(node.delete_topic, name)) for name in names]
    return _write_results(out, results, with_message=False)


async def create_partitions(node: Node, request: ApiRequest) -> Writer:
    body = request.body

    def wanted() -> tuple[str, int]:
        name, count = body.string(), body.int32()
        body.nullable_array(lambda: body.array(body.int32))
        return name, count

    topics = body.array(wanted)
    body.int32()
    change = node.topics.check_grown if body.boolean() else node.topics.grow
    results = [(name, *outcome(change, name, count)) for name, count in topics]
    return _write_results(Writer().int32(0), results, with_message=True)


def _write_results(out: Writer, results: list[tuple[str, Code, str | None]], *, with_message: bool) -> Writer:
    def write(out: Writer, item: tuple[str, Code, str | None]) -> None:
        name, code, message = item
        out.string(name).int16(code)
        if with_message:
            out.string(message)

    return out.array(results, write)
