"""Requests about data: Produce, Fetch, ListOffsets, DeleteRecords, InitProducerId."""

import asyncio
from dataclasses import dataclass

from jitr.sandbox.broker.log import PartitionLog
from jitr.sandbox.broker.node import ApiRequest, Node
from jitr.sandbox.broker.wire.codes import Code, RefusalError
from jitr.sandbox.broker.wire.wire import MalformedError, Writer

_LATEST, _EARLIEST = -1, -2
_LONGEST_WAIT_S = 300.0


async def produce(node: Node, request: ApiRequest) -> Writer | None:
    body, version = request.body, request.version
    transactional_id = body.nullable_string()
    acks = body.int16()
    body.int32()
    topics = body.array(
        lambda: (body.string(), body.array(lambda: (body.int32(), body.nullable_bytes() or b"")))
    )

    def store(topic: str, partition: int, data: bytes) -> tuple[Code, int, int, str | None]:
        try:
            if acks not in (-1, 0, 1):
                raise RefusalError(Code.INVALID_REQUIRED_ACKS, f"acks={acks} must be -1, 0 or 1")
            if transactional_id is not None:
                raise RefusalError(
                    Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "this broker has no transactions"
                )
            log = node.topics.log(topic, partition)
            return Code.NONE, log.append(data), log.start_offset, None
        except RefusalError as refusal:
            return refusal.code, -1, -1, refusal.message

    stored = [
        (topic, [(partition, *store(topic, partition, data)) for partition, data in partitions])
        for topic, partitions in topics
    ]
    if acks == 0:
        if any(code for _, partitions in stored for _, code, *_ in partitions):
            raise MalformedError("a batch sent with acks=0 was refused")  # closing is the only sign there is
        return None

    def write_partition(out: Writer, item: tuple[int, Code, int, int, str | None]) -> None:
        partition, code, base_offset, start_offset, message = item
        out.int32(partition).int16(code).int64(base_offset).int64(-1)
        if version >= 5:
            out.int64(start_offset)
        if version >= 8:
            out.int32(0).string(message)

    out = Writer()
    out.array(stored, lambda out, item: out.string(item[0]).array(item[1], write_partition))
    return out.int32(0)


@dataclass(frozen=True, slots=True)
class _Wanted:
    partition: int
    offset: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class _Found:
    partition: int
    code: Code
    end_offset: int
    start_offset: int
    data: bytes


async def fetch(node: Node, request: ApiRequest) -> Writer:
    body, version = request.body, request.version
    body.int32()
    wait_s = min(max(body.int32() / 1000, 0.0), _LONGEST_WAIT_S)
    min_bytes = body.int32()
    max_bytes = min(body.int32(), node.limits.fetch_max_bytes)
    read_committed = body.int8() == 1
    session_id = 0
    if version >= 7:
        session_id = body.int32()
        body.int32()

    def wanted() -> _Wanted:
        partition = body.int32()
        if version >= 9:
            body.int32()
        offset = body.int64()
        if version >= 5:
            body.int64()
        return _Wanted(partition, offset, body.int32())

    topics = body.array(lambda: (body.string(), body.array(wanted)))
    if session_id:
        # every answer here is a full one outside of sessions, so no client can have one
        return Writer().int32(0).int16(Code.FETCH_SESSION_ID_NOT_FOUND).int32(0).int32(0)

    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while True:
        found, size, failed = _collect(node, topics, max_bytes)
        if size >= min_bytes or failed or loop.time() >= deadline:
            break
        await _more(_logs(node, topics), deadline)

    def write_partition(out: Writer, item: _Found) -> None:
        out.int32(item.partition).int16(item.code).int64(item.end_offset).int64(item.end_offset)
        if version >= 5:
            out.int64(item.start_offset)
        out.int32(0 if read_committed else -1)
        if version >= 11:
            out.int32(-1)
        out.bytes_(item.data)

    out = Writer().int32(0)
    if version >= 7:
        out.int16(Code.NONE).int32(0)
    return out.array(found, lambda out, item: out.string(item[0]).array(item[1], write_partition))


def _collect(
    node: Node, topics: list[tuple[str, list[_Wanted]]], max_bytes: int
) -> tuple[list[tuple[str, list[_Found]]], int, bool]:
    """What is there now, its size in bytes, and whether some partition has an error to tell."""
    size = 0
    failed = False
    found = []
    for topic, partitions in topics:
        answers = []
        for want in partitions:
            try:
                log = node.topics.log(topic, want.partition)
            except RefusalError as refusal:
                failed = True
                answers.append(_Found(want.partition, refusal.code, -1, -1, b""))
                continue
            code, data = Code.NONE, b""
            try:
                # only the first data may go beyond the limit, so that a large batch passes at all
                data = log.read(want.offset, min(want.max_bytes, max_bytes - size), at_least_one=size == 0)
            except RefusalError as refusal:
                code, failed = refusal.code, True
            size += len(data)
            answers.append(_Found(want.partition, code, log.end_offset, log.start_offset, data))
        found.append((topic, answers))
    return found, size, failed


def _logs(node: Node, topics: list[tuple[str, list[_Wanted]]]) -> list[PartitionLog]:
    return [node.topics.log(topic, want.partition) for topic, partitions in topics for want in partitions]


async def _more(logs: list[PartitionLog], deadline: float) -> None:
    """Return when one of the logs changes or the deadline passes."""
    loop = asyncio.get_running_loop()
    changed: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not changed.done():
            changed.set_result(None)

    timer = loop.call_at(deadline, wake)
    for log in logs:
        log.waiting.add(wake)
    try:
        await changed
    finally:
        timer.cancel()
        for log in logs:
            log.waiting.discard(wake)


async def list_offsets(node: Node, request: ApiRequest) -> Writer:
    body, version = request.body, request.version
    body.int32()
    if version >= 2:
        body.int8()

    def wanted() -> tuple[int, int]:
        partition = body.int32()
        if version >= 4:
            body.int32()
        return partition, body.int64()

    topics = body.array(lambda: (body.string(), body.array(wanted)))

    def write(topic: str, out: Writer, item: tuple[int, int]) -> None:
        partition, timestamp = item
        code, when, offset = Code.NONE, -1, -1
        try:
            when, offset = _find_offset(node.topics.log(topic, partition), timestamp)
        except RefusalError as refusal:
            code = refusal.code
        out.int32(partition).int16(code).int64(when).int64(offset)
        if version >= 4:
            out.int32(-1)

    out = Writer()
    if version >= 2:
        out.int32(0)
    return out.array(
        topics,
        lambda out, item: out.string(item[0]).array(item[1], lambda out, want: write(item[0], out, want)),
    )


def _find_offset(log: PartitionLog, timestamp: int) -> tuple[int, int]:
    if timestamp == _LATEST:
        return -1, log.end_offset
    if timestamp == _EARLIEST:
        return -1, log.start_offset
    if timestamp < 0:
        raise RefusalError(Code.INVALID_REQUEST, f"timestamp {timestamp} has no meaning in this version")
    return log.offset_at_time(timestamp) or (-1, -1)


async def delete_records(node: Node, request: ApiRequest) -> Writer:
    body = request.body
    topics = body.array(lambda: (body.string(), body.array(lambda: (body.int32(), body.int64()))))

    def write(topic: str, out: Writer, item: tuple[int, int]) -> None:
        partition, offset = item
        code, start = Code.NONE, -1
        try:
            start = node.topics.log(topic, partition).delete_before(offset)
        except RefusalError as refusal:
            code = refusal.code
        out.int32(partition).int64(start).int16(code)

    return (
        Writer()
        .int32(0)
        .array(
            topics,
            lambda out, item: out.string(item[0]).array(item[1], lambda out, want: write(item[0], out, want)),
        )
    )


async def init_producer_id(node: Node, request: ApiRequest) -> Writer:
    transactional_id = request.body.nullable_string()
    out = Writer().int32(0)
    if transactional_id is not None:
        return out.int16(Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED).int64(-1).int16(-1)
    return out.int16(Code.NONE).int64(node.new_producer_id()).int16(0)
