"""Who needs which right, in Kafka and in Redis: what docs/servers.md and `jitr doctor --acls` say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jitr.schemas.settings import Settings

# part: topics that it reads, topics that it writes
_KAFKA: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "gateway": ((), ("calls",)),
    "publisher": ((), ("calls",)),
    "worker": (("tasks", "routes"), ("metrics", "dead_letters")),
    "detect": (("calls",), ("task_calls", "unmatched")),
    "mine": (("unmatched",), ("tasks", "task_calls", "evidence")),
    "collect": (("task_calls",), ("trainings", "evidence")),
    "train": (("trainings",), ("evidence",)),
    "audit": (("task_calls",), ("evidence",)),
    "control": (("evidence",), ("routes", "ledger")),
    "redis-sink": (("routes", "tasks"), ()),
    "operator": (("calls", "ledger", "dead_letters"), ("calls", "unmatched", "evidence", "dead_letters")),
}
AGENTS: Final = ("detect", "mine", "collect", "train", "audit", "control", "redis-sink")
PARTS: Final = {
    "gateway": "`jitr gateway`: publishes calls",
    "publisher": "any other program that publishes calls",
    "worker": "every `jitr worker`, whatever its agents; besides, the rights of each of its agents",
    **{agent: f"the agent {agent}" for agent in AGENTS},
    "operator": "a person with the command: `publish`, `tasks`, `routes`, `why`, `curate`, `dlq`",
}
_CONNECTION: Final = ("hello", "auth", "ping", "select", "cluster|slots")
_REDIS: Final[dict[str, tuple[str, ...]]] = {
    "gateway": (
        *("get", "set", "hgetall", "hset", "hsetnx", "hincrby", "hincrbyfloat", "expire"),
        *("multi", "exec", "psubscribe", "punsubscribe"),
    ),
    "worker": (
        *("get", "set", "del", "pexpire", "hget", "hset", "hgetall", "publish", "multi", "exec"),
        *("eval", "evalsha", "script|load"),
    ),
    "operator": ("get", "set", "hgetall", "hset", "multi", "exec"),
}
# keys of each part: (what may be done: %R read, %W write, %RW both; pattern after the prefix)
_KEYS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "gateway": (("%R", "jitr:{*}:*"), ("%RW", "jitr:{gateway}:*")),
    "worker": (("%RW", "jitr:*"),),
    "operator": (("%R", "jitr:{*}:*"), ("%RW", "jitr:{gateway}:*")),
}


@dataclass(frozen=True, slots=True)
class KafkaRight:
    """One operation on one resource, as Kafka names them.

    Attributes
    ----------
    part : str
        Who needs it: one of `PARTS`.
    kind : str
        ``topic`` or ``group``.
    """

    part: str
    kind: str
    name: str
    operation: str

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class RedisRight:
    """The rules of one user of Redis, as ``ACL SETUSER`` takes them, without the password."""

    part: str
    rules: str


def kafka_rights(settings: Settings) -> list[KafkaRight]:
    """Every right that anyone needs once the topics are there; Read and Write imply Describe.

    A worker that is to make the topics needs ``Create`` and ``Describe`` on each besides (`making_rights`).

    Examples
    --------
    >>> [str(right) for right in kafka_rights(Settings()) if right.part == "detect"][::3]
    ['Read on topic llm.calls', 'Read on group jitr-detect']
    """
    topics, found = settings.topics, []
    for part, (reads, writes) in _KAFKA.items():
        found += [KafkaRight(part, "topic", getattr(topics, name).name, "Read") for name in reads]
        found += [KafkaRight(part, "topic", getattr(topics, name).name, "Write") for name in writes]
        if part in AGENTS:
            found.append(KafkaRight(part, "group", f"{settings.kafka.prefix}jitr-{part}", "Read"))
        if part == "worker":
            found += [KafkaRight(part, "topic", topic.name, "Describe") for topic in topics.all()]
    return found


def making_rights(settings: Settings) -> list[KafkaRight]:
    """What a worker needs to make the topics that are not there."""
    return [KafkaRight("worker", "topic", topic.name, "Create") for topic in settings.topics.all()]


def redis_rights(prefix: str = "") -> list[RedisRight]:
    """The users of Redis.

    Parameters
    ----------
    prefix : str
        ``redis.prefix``.
    """
    users = []
    for part, commands in _REDIS.items():
        keys = " ".join(f"{may}~{prefix}{pattern}" for may, pattern in _KEYS[part])
        channel = "" if part == "operator" else f"&{prefix}jitr:* "
        allowed = " ".join(f"+{command}" for command in (*_CONNECTION, *commands))
        users.append(RedisRight(part, f"resetkeys resetchannels {keys} {channel}-@all {allowed}"))
    return users


def page(settings: Settings) -> str:
    """The rights as commands that give them: of ``kafka-acls.sh``, and of Redis."""
    lines = ["# Kafka: kafka-acls.sh --bootstrap-server HOST:PORT --add ..., with your principals"]
    for part, says in PARTS.items():
        lines += ["", f"# {part}: {says}"]
        lines += [_kafka_line(right) for right in kafka_rights(settings) if right.part == part]
        if part == "worker":
            lines.append("# ... and where it is to make the topics")
            lines += [_kafka_line(right) for right in making_rights(settings)]
    lines += ["", "# Redis: with your passwords"]
    rules = redis_rights(settings.redis.prefix)
    lines += [f"ACL SETUSER {right.part} on >PASSWORD {right.rules}" for right in rules]
    return "\n".join(lines) + "\n"


def _kafka_line(right: KafkaRight) -> str:
    return f"--allow-principal User:{right.part} --operation {right.operation} --{right.kind} {right.name}"
