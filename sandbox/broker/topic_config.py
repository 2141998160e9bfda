"""The settings of a topic, under Kafka's names and defaults, and which of them this broker acts on."""

from collections.abc import Mapping
from dataclasses import dataclass

from jitr.sandbox.broker.wire.codes import Code, RefusalError

_DAY_MS = 24 * 3600 * 1000
_LONG = 2**63 - 1

# name -> (default, least value allowed); the broker acts on these
_INTEGERS: dict[str, tuple[int, int]] = {
    "retention.ms": (7 * _DAY_MS, -1),
    "retention.bytes": (-1, -1),
    "segment.bytes": (64 * 1024 * 1024, 1024),
    "segment.ms": (7 * _DAY_MS, 1),
    "max.message.bytes": (1048588, 0),
    "delete.retention.ms": (_DAY_MS, 0),
    "min.compaction.lag.ms": (0, 0),
}
# These Kafka settings are stored and told again, and change nothing on a single node of this kind.
_WITHOUT_EFFECT: dict[str, str] = {
    "compression.type": "producer",
    "message.timestamp.type": "CreateTime",
    "min.insync.replicas": "1",
    "unclean.leader.election.enable": "false",
    "preallocate": "false",
    "flush.messages": str(_LONG),
    "flush.ms": str(_LONG),
    "file.delete.delay.ms": "60000",
    "index.interval.bytes": "4096",
    "segment.index.bytes": "10485760",
    "segment.jitter.ms": "0",
    "max.compaction.lag.ms": str(_LONG),
    "message.timestamp.before.max.ms": str(_LONG),
    "message.timestamp.after.max.ms": "3600000",
}
# Where a value of those would have an effect that this broker does not have, only these are taken.
_ONLY = {
    "compression.type": {"producer"},
    "message.timestamp.type": {"CreateTime"},
    "min.insync.replicas": {"1"},
}
_POLICIES = {"delete", "compact"}
DEFAULTS: dict[str, str] = {
    "cleanup.policy": "delete",
    "min.cleanable.dirty.ratio": "0.5",
    **{name: str(default) for name, (default, _) in _INTEGERS.items()},
    **_WITHOUT_EFFECT,
}


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """A topic's settings, read; -1 means no limit.

    Examples
    --------
    >>> TopicConfig.of({"cleanup.policy": "compact"}).compacts
    True
    >>> TopicConfig.of({"retention.ms": "soon"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    jitr.sandbox.broker.wire.codes.RefusalError: INVALID_CONFIG: retention.ms='soon' must be a whole number...
    """

    given: Mapping[str, str]
    compacts: bool
    deletes: bool
    retention_ms: int
    retention_bytes: int
    segment_bytes: int
    segment_ms: int
    max_message_bytes: int
    delete_retention_ms: int
    min_compaction_lag_ms: int
    min_dirty_ratio: float

    @staticmethod
    def of(given: Mapping[str, str | None]) -> "TopicConfig":
        """Check and read what a client gave; a null value means the default.

        Raises
        ------
        RefusalError
            INVALID_CONFIG, for a name Kafka does not have or a value this broker cannot keep.
        """
        kept = {name: value for name, value in given.items() if value is not None}
        for name in kept:
            if name not in DEFAULTS:
                raise RefusalError(Code.INVALID_CONFIG, f"Unknown topic config name: {name}")
            if kept[name] not in _ONLY.get(name, {kept[name]}):
                allowed = ", ".join(sorted(_ONLY[name]))
                raise RefusalError(
                    Code.INVALID_CONFIG, f"{name}={kept[name]!r}: this broker has only {allowed}"
                )
        values = {**DEFAULTS, **kept}
        policies = {policy.strip() for policy in values["cleanup.policy"].split(",")}
        if not policies <= _POLICIES:
            raise RefusalError(
                Code.INVALID_CONFIG,
                f"cleanup.policy={values['cleanup.policy']!r} must be delete, compact or both",
            )
        numbers = {name: _whole(name, values[name], least) for name, (_, least) in _INTEGERS.items()}
        return TopicConfig(
            given=kept,
            compacts="compact" in policies,
            deletes="delete" in policies,
            retention_ms=numbers["retention.ms"],
            retention_bytes=numbers["retention.bytes"],
            segment_bytes=numbers["segment.bytes"],
            segment_ms=numbers["segment.ms"],
            max_message_bytes=numbers["max.message.bytes"],
            delete_retention_ms=numbers["delete.retention.ms"],
            min_compaction_lag_ms=numbers["min.compaction.lag.ms"],
            min_dirty_ratio=_ratio("min.cleanable.dirty.ratio", values["min.cleanable.dirty.ratio"]),
        )

    def value(self, name: str) -> str:
        """The value in force, given or default."""
        return self.given.get(name, DEFAULTS[name])


def _whole(name: str, value: str, least: int) -> int:
    try:
        number = int(value)
    except ValueError:
        number = least - 1
    if not least <= number <= _LONG:
        raise RefusalError(Code.INVALID_CONFIG, f"{name}={value!r} must be a whole number >= {least}")
    return number


def _ratio(name: str, value: str) -> float:
    try:
        ratio = float(value)
    except ValueError:
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        raise RefusalError(Code.INVALID_CONFIG, f"{name}={value!r} must be a number in 0..1")
    return ratio
