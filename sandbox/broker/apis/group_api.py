"""Requests about consumer groups and their committed offsets."""

from jitr.sandbox.broker.apis.topic_api import outcome
from jitr.sandbox.broker.group import Joined, Member, State
from jitr.sandbox.broker.node import NODE_ID, ApiRequest, Node
from jitr.sandbox.broker.offsets import Committed
from jitr.sandbox.broker.wire.codes import Code, RefusalError
from jitr.sandbox.broker.wire.wire import Writer

_LONGEST_METADATA = 4096
_NOT_ASKED = -(2**31)


async def find_coordinator(node: Node, request: ApiRequest) -> Writer:
    body, version = request.body, request.version
    body.string()
    for_group = version < 1 or body.int8() == 0
    out = Writer()
    if version >= 1:
        out.int32(0)
    out.int16(Code.NONE if for_group else Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    if version >= 1:
        out.string(None if for_group else "this broker has no transactions")
    if not for_group:
        return out.int32(-1).string("").int32(-1)
    return out.int32(NODE_ID).string(node.host).int32(node.port)


async def join_group(node: Node, request: ApiRequest) -> Writer:
    body, version = request.body, request.version
    name = body.string()
    session_timeout_s = body.int32() / 1000
    rebalance_timeout_s = body.int32() / 1000 if version >= 1 else session_timeout_s
    member_id = body.string()
    protocol_type = body.string()
    protocols = dict(body.array(lambda: (body.string(), body.bytes_())))
    arrival = Member(
        member_id, request.client_id, request.client_host, session_timeout_s, rebalance_timeout_s, protocols
    )
    code = Code.NONE
    try:
        limits = node.limits
        if not limits.group_min_session_timeout_s <= session_timeout_s <= limits.group_max_session_timeout_s:
            raise RefusalError(
                Code.INVALID_SESSION_TIMEOUT, f"a session timeout of {session_timeout_s} s is out of range"
            )
        if member_id and node.groups.get(name) is None:
            node.groups.existing(name)
        group = node.groups.open(name)
        if not member_id and version >= 4:
            member_id = group.promise_id(request.client_id, session_timeout_s)
            raise RefusalError(Code.MEMBER_ID_REQUIRED, "come again with this id")
        joined = await group.join(arrival, protocol_type)
    except RefusalError as refusal:
        code, joined = refusal.code, Joined(-1, "", "", member_id)
    out = Writer()
    if version >= 2:
        out.int32(0)
    out.int16(code).int32(joined.generation).string(joined.protocol).string(joined.leader)
    return out.string(joined.member_id).array(
        joined.members, lambda out, item: out.string(item[0]).bytes_(item[1])
    )


async def sync_group(node: Node, request: ApiRequest) -> Writer:
    body = request.body
    name, generation, member_id = body.string(), body.int32(), body.string()
    assignments = dict(body.array(lambda: (body.string(), body.bytes_())))
    code, assignment = Code.NONE, b""
    try:
        assignment = await node.groups.existing(name).sync(member_id, generation, assignments)
    except RefusalError as refusal:
        code = refusal.code
    out = Writer()
    if request.version >= 1:
        out.int32(0)
    return out.int16(code).bytes_(assignment)


async def heartbeat(node: Node, request: ApiRequest) -> Writer:
    body = request.body
    name, generation, member_id = body.string(), body.int32(), body.string()
    code, _ = outcome(lambda: node.groups.existing(name).heartbeat(member_id, generation))
    out = Writer()
    if request.version >= 1:
        out.int32(0)
    return out.int16(code)


async def leave_group(node: Node, request: ApiRequest) -> Writer:
    body = request.body
    name, member_id = body.string(), body.string()
    code, _ = outcome(lambda: node.groups.existing(name).leave(member_id))
    out = Writer()
    if request.version >= 1:
        out.int32(0)
    return out.int16(code)


async def offset_commit(node: Node, request: ApiRequest) -> Writer:
    body, version = request.body, request.version
    name, generation, member_id = body.string(), body.int32(), body.string()
    if version <= 4:
        body.int64()

    def wanted() -> tuple[int, int, str]:
        partition, offset = body.int32(), body.int64()
        if version >= 6:
            body.int32()
        return partition, offset, body.nullable_string() or ""

    topics = body.array(lambda: (body.string(), body.array(wanted)))
    refused, _ = outcome(node.groups.check_commit, name, generation, member_id)
    accepted: list[Committed] = []

    def judged(topic: str, partition: int, offset: int, metadata: str) -> Code:
        code = refused
        if not code and len(metadata) > _LONGEST_METADATA:
            code = Code.OFFSET_METADATA_TOO_LARGE
        if not code:
            code, _ = outcome(node.topics.log, topic, partition)
        if not code and offset < 0:
            code = Code.INVALID_REQUEST
        if not code:
            accepted.append(Committed(name, topic, partition, offset, metadata))
        return code

    results = [
        (
            topic,
            [
                (partition, judged(topic, partition, offset, metadata))
                for partition, offset, metadata in partitions
            ],
        )
        for topic, partitions in topics
    ]
    if accepted:
        node.groups.offsets.commit(accepted)
    out = Writer()
    if version >= 3:
        out.int32(0)
    return out.array(
        results,
        lambda out, item: out.string(item[0]).array(
            item[1], lambda out, each: out.int32(each[0]).int16(each[1])
        ),
    )


async def offset_fetch(node: Node, request: ApiRequest) -> Writer:
    body, version = request.body, request.version
    name = body.string()
    topics = body.nullable_array(lambda: (body.string(), body.array(body.int32)))
    committed = node.groups.offsets.of_group(name)
    if topics is None:
        listed: dict[str, list[int]] = {}
        for topic, partition in sorted(committed):
            listed.setdefault(topic, []).append(partition)
        topics = list(listed.items())

    def write(topic: str, out: Writer, partition: int) -> None:
        entry = committed.get((topic, partition))
        out.int32(partition).int64(entry.offset if entry else -1)
        if version >= 5:
            out.int32(-1)
        out.string(entry.metadata if entry else "").int16(Code.NONE)

    out = Writer()
    if version >= 3:
        out.int32(0)
    out.array(
        topics,
        lambda out, item: out.string(item[0]).array(item[1], lambda out, each: write(item[0], out, each)),
    )
    return out.int16(Code.NONE) if version >= 2 else out


async def describe_groups(node: Node, request: ApiRequest) -> Writer:
    body, version = request.body, request.version
    names = body.array(body.string)
    known = set(node.groups.names())

    def write_member(out: Writer, item: tuple[Member, str]) -> None:
        member, protocol = item
        out.string(member.id).string(member.client_id).string(f"/{member.client_host}")
        out.bytes_(member.protocols.get(protocol, b"")).bytes_(member.assignment)

    def write(out: Writer, name: str) -> None:
        group = node.groups.get(name)
        out.int16(Code.NONE).string(name)
        if group is None:
            out.string(State.EMPTY if name in known else "Dead").string("").string("").int32(0)
        else:
            out.string(group.state).string(group.protocol_type).string(group.protocol)
            out.array([(member, group.protocol) for member in group.members.values()], write_member)
        if version >= 3:
            out.int32(_NOT_ASKED)

    out = Writer()
    if version >= 1:
        out.int32(0)
    return out.array(names, write)


async def list_groups(node: Node, request: ApiRequest) -> Writer:
    out = Writer()
    if request.version >= 1:
        out.int32(0)

    def write(out: Writer, name: str) -> None:
        group = node.groups.get(name)
        out.string(name).string(group.protocol_type if group else "")

    return out.int16(Code.NONE).array(node.groups.names(), write)


async def delete_groups(node: Node, request: ApiRequest) -> Writer:
    names = request.body.array(request.body.string)
    results = [(name, outcome(node.groups.delete, name)[0]) for name in names]
    return Writer().int32(0).array(results, lambda out, item: out.string(item[0]).int16(item[1]))
