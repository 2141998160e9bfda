"""Which requests the broker takes, in which versions, and who answers each.

The versions end where the protocol's flexible encoding begins; every client negotiates, so none misses it.
Only ApiVersions itself is spoken flexibly, for clients open with it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from jitr.sandbox.broker.apis import config_api, data_api, group_api, topic_api
from jitr.sandbox.broker.node import ApiRequest, Node
from jitr.sandbox.broker.wire.codes import ApiKey, Code
from jitr.sandbox.broker.wire.wire import MalformedError, WireReader, Writer

Handler = Callable[[Node, ApiRequest], Awaitable[Writer | None]]


@dataclass(frozen=True, slots=True)
class Api:
    """One kind of request: the versions taken and the handler."""

    key: ApiKey
    oldest: int
    newest: int
    handler: Handler


async def api_versions(_: Node, request: ApiRequest) -> Writer:
    out = Writer()
    if request.version < 3:
        out.int16(Code.NONE).array(APIS.values(), _write_api)
        return out.int32(0) if request.version >= 1 else out
    # flexible: a compact array says its count plus one; every structure ends with tagged fields, none here
    out.int16(Code.NONE).int8(len(APIS) + 1)
    for api in APIS.values():
        _write_api(out, api)
        out.int8(0)
    return out.int32(0).int8(0)


def _write_api(out: Writer, api: Api) -> None:
    out.int16(api.key).int16(api.oldest).int16(api.newest)


APIS: dict[int, Api] = {
    api.key: api
    for api in (
        Api(ApiKey.PRODUCE, 3, 8, data_api.produce),
        Api(ApiKey.FETCH, 4, 11, data_api.fetch),
        Api(ApiKey.LIST_OFFSETS, 1, 5, data_api.list_offsets),
        Api(ApiKey.METADATA, 0, 6, topic_api.metadata),
        Api(ApiKey.OFFSET_COMMIT, 2, 6, group_api.offset_commit),
        Api(ApiKey.OFFSET_FETCH, 1, 5, group_api.offset_fetch),
        Api(ApiKey.FIND_COORDINATOR, 0, 2, group_api.find_coordinator),
        Api(ApiKey.JOIN_GROUP, 0, 4, group_api.join_group),
        Api(ApiKey.HEARTBEAT, 0, 2, group_api.heartbeat),
        Api(ApiKey.LEAVE_GROUP, 0, 2, group_api.leave_group),
        Api(ApiKey.SYNC_GROUP, 0, 2, group_api.sync_group),
        Api(ApiKey.DESCRIBE_GROUPS, 0, 3, group_api.describe_groups),
        Api(ApiKey.LIST_GROUPS, 0, 2, group_api.list_groups),
        Api(ApiKey.API_VERSIONS, 0, 4, api_versions),
        Api(ApiKey.CREATE_TOPICS, 0, 4, topic_api.create_topics),
        Api(ApiKey.DELETE_TOPICS, 0, 3, topic_api.delete_topics),
        Api(ApiKey.DELETE_RECORDS, 0, 1, data_api.delete_records),
        Api(ApiKey.INIT_PRODUCER_ID, 0, 1, data_api.init_producer_id),
        Api(ApiKey.DESCRIBE_CONFIGS, 0, 2, config_api.describe_configs),
        Api(ApiKey.ALTER_CONFIGS, 0, 1, config_api.alter_configs),
        Api(ApiKey.CREATE_PARTITIONS, 0, 1, topic_api.create_partitions),
        Api(ApiKey.DELETE_GROUPS, 0, 1, group_api.delete_groups),
        Api(ApiKey.INCREMENTAL_ALTER_CONFIGS, 0, 0, config_api.incremental_alter_configs),
    )
}


async def answer(node: Node, frame: bytes, client_host: str) -> bytes | None:
    """The framed response to one framed request, or None if the client wants none.

    Raises
    ------
    MalformedError
        For bytes that are no request, and for requests and versions that ApiVersions does not list; Kafka too
        closes the connection on these.
    """
    reader = WireReader(frame)
    key, version, correlation_id = reader.int16(), reader.int16(), reader.int32()
    api = APIS.get(key)
    if api is None:
        raise MalformedError(f"request {key} is not among those this broker takes")
    client_id = reader.nullable_string() or ""
    out: Writer | None
    if key == ApiKey.API_VERSIONS and version > api.newest:
        # the protocol's way to agree on a version: the error, in the encoding of version 0
        out = Writer().int16(Code.UNSUPPORTED_VERSION).array(APIS.values(), _write_api)
    elif not api.oldest <= version <= api.newest:
        raise MalformedError(
            f"{api.key.name} version {version} given, {api.oldest} to {api.newest} are taken"
        )
    else:
        out = await api.handler(node, ApiRequest(version, client_id, client_host, reader))
    if out is None:
        return None
    return bytes(Writer().int32(len(out.data) + 4).int32(correlation_id).data + out.data)
