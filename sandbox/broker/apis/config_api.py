"""Requests about settings: DescribeConfigs, AlterConfigs, IncrementalAlterConfigs."""

from collections.abc import Callable

from jitr.sandbox.broker.apis.topic_api import outcome
from jitr.sandbox.broker.node import NODE_ID, ApiRequest, Node
from jitr.sandbox.broker.topic_config import DEFAULTS
from jitr.sandbox.broker.wire.codes import Code, RefusalError
from jitr.sandbox.broker.wire.wire import Writer

_TOPIC, _BROKER = 2, 4
_FROM_TOPIC, _FROM_BROKER, _FROM_DEFAULT = 1, 4, 5
_SET, _DELETE = 0, 1

_Setting = tuple[str, str, int]  # name, value, source


async def describe_configs(node: Node, request: ApiRequest) -> Writer:
    body, version = request.body, request.version
    resources = body.array(lambda: (body.int8(), body.string(), body.nullable_array(body.string)))
    if version >= 1:
        body.boolean()

    def write_setting(out: Writer, item: _Setting) -> None:
        name, value, source = item
        out.string(name).string(value).boolean(source == _FROM_BROKER)
        if version == 0:
            out.boolean(source == _FROM_DEFAULT)
        else:
            out.int8(source)
        out.boolean(False)
        if version >= 1:
            out.int32(0)

    def write(out: Writer, item: tuple[int, str, list[str] | None]) -> None:
        kind, name, keys = item
        code, message, settings = Code.NONE, None, list[_Setting]()
        try:
            settings = [each for each in _settings(node, kind, name) if keys is None or each[0] in keys]
        except RefusalError as refusal:
            code, message = refusal.code, refusal.message
        out.int16(code).string(message).int8(kind).string(name).array(settings, write_setting)

    return Writer().int32(0).array(resources, write)


def _settings(node: Node, kind: int, name: str) -> list[_Setting]:
    if kind == _TOPIC:
        config = node.topics.existing(name).config
        return [
            (key, config.value(key), _FROM_TOPIC if key in config.given else _FROM_DEFAULT)
            for key in sorted(DEFAULTS)
        ]
    if kind == _BROKER and name in {"", str(NODE_ID)}:
        limits = node.limits
        return [
            ("auto.create.topics.enable", str(limits.auto_create_topics).lower(), _FROM_BROKER),
            ("num.partitions", str(limits.num_partitions), _FROM_BROKER),
            ("socket.request.max.bytes", str(limits.socket_request_max_bytes), _FROM_BROKER),
        ]
    raise RefusalError(Code.INVALID_REQUEST, f"settings of kind {kind} and name {name!r} are not kept here")


async def alter_configs(node: Node, request: ApiRequest) -> Writer:
    body = request.body
    resources = body.array(
        lambda: (
            body.int8(),
            body.string(),
            dict(body.array(lambda: (body.string(), body.nullable_string()))),
        )
    )
    validate_only = body.boolean()

    def alter(kind: int, name: str, given: dict[str, str | None]) -> None:
        _change(node, kind, name, validate_only, lambda _: given)

    return _write_results(
        [(kind, name, *outcome(alter, kind, name, given)) for kind, name, given in resources]
    )


async def incremental_alter_configs(node: Node, request: ApiRequest) -> Writer:
    body = request.body
    resources = body.array(
        lambda: (
            body.int8(),
            body.string(),
            body.array(lambda: (body.string(), body.int8(), body.nullable_string())),
        )
    )
    validate_only = body.boolean()

    def alter(kind: int, name: str, steps: list[tuple[str, int, str | None]]) -> None:
        def changed(given: dict[str, str | None]) -> dict[str, str | None]:
            for key, step, value in steps:
                if step not in (_SET, _DELETE):
                    raise RefusalError(
                        Code.INVALID_REQUEST, f"{key}: this broker can set and delete a setting only"
                    )
                given[key] = value if step == _SET else None
            return given

        _change(node, kind, name, validate_only, changed)

    return _write_results(
        [(kind, name, *outcome(alter, kind, name, steps)) for kind, name, steps in resources]
    )


def _change(
    node: Node,
    kind: int,
    name: str,
    validate_only: bool,
    change: Callable[[dict[str, str | None]], dict[str, str | None]],
) -> None:
    if kind != _TOPIC:
        raise RefusalError(Code.INVALID_REQUEST, "only the settings of topics can be changed")
    before = node.topics.existing(name).config
    node.topics.configure(name, change(dict(before.given)), validate_only=validate_only)


def _write_results(results: list[tuple[int, str, Code, str | None]]) -> Writer:
    def write(out: Writer, item: tuple[int, str, Code, str | None]) -> None:
        kind, name, code, message = item
        out.int16(code).string(message).int8(kind).string(name)

    return Writer().int32(0).array(results, write)
