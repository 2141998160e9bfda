"""Who may move a route: forged decisions, evidence and commands on a broker, and the keys that are good."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stage.servers.kafka import Kafka, settings_for
from stage.workers import working

from jitr.cli.main import main
from jitr.schemas.calls import Call, DecisionStamp, Message, Response
from jitr.schemas.events import encode_batch
from jitr.schemas.evidence import Command, Demotion, Tick
from jitr.schemas.record import Record
from jitr.schemas.routes import Transition
from jitr.schemas.sections import SigningSettings
from jitr.schemas.settings import Settings
from jitr.schemas.signing import Maker, Signing, key_id
from jitr.schemas.tasks import Signature, Task, TaskCall, TaskCommand, Template

GATEWAY, WORKER, ADA, BEN, STRANGER = (letter * 40 for letter in "gwabx")
KEYS = SigningSettings(gateway_keys=GATEWAY, worker_keys=WORKER, people={"ada": ADA, "ben": BEN})
TASK = Task(
    id="mood",
    tenant="default",
    status="task",
    signature=Signature(model="m", shape="user"),
    templates=(Template(prefix="Mood of:"),),
    kind="label",
    labels=("good", "bad"),
)


class Pen:
    """Writes to topics as one maker or another."""

    def __init__(self, kafka: Kafka, settings: Settings) -> None:
        self.kafka, self.settings = kafka, settings
        self.signing = Signing(settings)

    async def write(
        self,
        topic: str,
        record: Any,
        kind: Maker | None = None,
        name: str = "",
        *,
        signing: Signing | None = None,
        signed_for: str | None = None,
        change: Callable[[bytes], bytes] = lambda value: value,
        key: str | None = None,
    ) -> None:
        seal = (signing or self.signing).seal(kind, signed_for or topic, name) if kind else None
        value, headers = encode_batch(
            [(record.id, getattr(record, "time", 1e9), record)], source="/test", seal=seal
        )
        await self.kafka.producer.send_and_wait(
            topic, change(value), key=key.encode() if key else None, headers=headers
        )


@pytest.fixture
def settings(dev_broker: str, tmp_path: Path) -> Settings:
    plain, _ = settings_for(dev_broker, tmp_path)
    return msgspec.structs.replace(plain, signing=KEYS)


def audited(n: int) -> Call:
    stamp = DecisionStamp(
        id=f"d{n}", task="mood", route_version="0.1", target="surrogate", reason="accepted", surrogate="v1",
        answer="good", label="good", score=0.9, accepted=True, audit_rate=0.25, coin=0.125, due=True,
    )  # fmt: skip
    message, answer = Message(role="user", content=f"Mood of: day {n}"), Response(text="bad")
    return Call(
        id=f"c{n:02d}", model="m", time=1e9 + n, messages=(message,), response=answer, decision=stamp
    )  # fmt: skip


def put(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(value: bytes) -> bytes:
        assert old in value
        return value.replace(old, new)

    return change


def strangers(settings: Settings) -> Signing:
    keys = SigningSettings(
        gateway_keys=STRANGER, worker_keys=STRANGER[1:] + "y", people={"ada": STRANGER[1:] + "z"}
    )
    return Signing(msgspec.structs.replace(settings, signing=keys))


async def test_a_stamp_that_the_gateway_has_not_signed_is_traffic_and_no_evidence(settings: Settings) -> None:
    calls, made = settings.topics.calls.name, settings.topics.task_calls.name
    async with Kafka(settings) as kafka:
        pen = Pen(kafka, settings)
        await pen.write(settings.topics.tasks.name, TASK, key="mood")
        async with working(settings, "detect") as worker:
            await pen.write(calls, audited(0), "gateway")
            await pen.write(calls, audited(1))
            await pen.write(calls, audited(2), "gateway", signing=strangers(settings))
            await pen.write(calls, audited(3), "worker")
            await pen.write(calls, audited(4), "person", "ada")
            await pen.write(calls, audited(5), "gateway", signed_for=f"other.{calls}")
            for n, (old, new) in enumerate(
                [
                    (b'"text":"bad"', b'"text":"good"'),
                    (b'"label":"good"', b'"label":"bad"'),
                    (b'"coin":0.125', b'"coin":0.124'),
                    (b'"audit_rate":0.25', b'"audit_rate":0.20'),
                    (b'"surrogate":"v1"', b'"surrogate":"v2"'),
                    (b'"due":true', b'"due":false'),
                    (b"Mood of: day", b"Mood of: dawn"),
                    (b'"id":"c13"', b'"id":"c99"'),
                ],
                start=6,
            ):
                await pen.write(calls, audited(n), "gateway", change=put(old, new))
            await kafka.done("detect")
            found: list[TaskCall] = await kafka.rows(made, TaskCall)
            page = worker.metrics.page().decode()
        assert await kafka.read(settings.topics.dead_letters.name) == []
    assert len(found) == 14 and {call.task for call in found} == {"mood"}
    assert [call.id for call in found if call.decision is not None] == ["c00"]
    assert 'jitr_refused_stamps_total{reason="unsigned"} 1.0' in page
    assert 'jitr_refused_stamps_total{reason="forged"}' in page


async def test_evidence_moves_a_route_only_by_the_word_of_who_may_say_it(settings: Settings) -> None:
    topic = settings.topics.evidence.name
    who = {"tenant": "default", "task": "mood", "time": 1e9}
    demotion = Demotion(
        id="v", surrogate="v1", e_value=99.0, threshold=20.0, scored=10, disagreement=1.0, **who
    )
    tick = Tick(id="t", labels=50, **who)

    def word(id: str, by: str, verb: str = "pause") -> Command:
        return Command(id=id, verb=verb, by=by, **who)  # type: ignore[arg-type]  # a verb of the test's

    async with Kafka(settings) as kafka:
        pen = Pen(kafka, settings)

        async def says(record: Record, *by: Any, **how: Any) -> None:
            await pen.write(topic, record, *by, key="mood", **how)

        async with working(settings, "control"):
            refused = [
                (tick, (), {}, "is not signed"),
                (word("w1", "ada"), (), {}, "is not signed"),
                (word("w2", "ada"), ("person", "ada"), {"signing": strangers(settings)}, "does not verify"),
                (word("w3", "ben"), ("person", "ada"), {}, "says that it is by 'ben'"),
                (word("w4", "ada"), ("gateway",), {}, "is signed by gateway"),
                (demotion, ("person", "ada"), {}, "is signed by ada"),
                (demotion, ("gateway",), {}, "is signed by gateway"),
                (tick, ("worker",), {"change": put(b'"labels":50', b'"labels":51')}, "does not verify"),
                (tick, ("worker",), {"signed_for": settings.topics.task_calls.name}, "does not verify"),
            ]
            for record, by, how, _ in refused:
                await says(record, *by, **how)
            await kafka.done("control")
            assert await kafka.rows(settings.topics.routes.name, Transition) == []
            letters = await kafka.read(settings.topics.dead_letters.name)
            reasons = [dict(letter.headers)["jitr-dlq-reason"].decode() for letter in letters]
            assert len(reasons) == len(refused)
            for (_, _, _, says_why), reason in zip(refused, reasons, strict=True):
                assert says_why in reason
            await says(tick, "worker")
            await says(word("w5", "ada"), "person", "ada")
            await says(word("w6", "ben", "unpause"), "worker")
            await kafka.done("control")
            steps: list[Transition] = await kafka.rows(settings.topics.ledger.name, Transition)
    keys = [step.by for step in steps]
    assert keys[0].startswith("ada (key ") and keys[1].startswith("ben, by worker (key ")


async def test_words_on_tasks_and_calls_between_agents_are_signed_too(settings: Settings) -> None:
    topics = settings.topics
    word = TaskCommand(id="w", tenant="default", time=1e9, verb="merge", task="a", other="b", by="ada")
    made = TaskCall(id="c", tenant="default", task="mood", task_version=1, time=1e9, model="m", input="x")
    async with Kafka(settings) as kafka:
        pen = Pen(kafka, settings)
        async with working(settings, "mine", "audit", "collect"):
            await pen.write(topics.unmatched.name, word, key="default")
            await pen.write(topics.unmatched.name, word, "person", "ben", key="default")
            await pen.write(topics.unmatched.name, word, "worker", key="default")
            await pen.write(topics.unmatched.name, audited(1), "gateway", key="default")
            await pen.write(topics.task_calls.name, made, key="mood")
            await pen.write(topics.task_calls.name, made, "gateway", key="mood")
            await kafka.done("mine", "audit", "collect")
        letters = await kafka.read(topics.dead_letters.name)
        assert await kafka.rows(topics.evidence.name, Tick) == []
    # audit and collect each refuse both calls
    assert len(letters) == 4 + 2 * 2
    assert {dict(letter.headers)["jitr-dlq-stage"] for letter in letters} == {b"signature"}


async def test_keys_are_changed_without_a_pause(settings: Settings) -> None:
    def with_keys(gateway: str) -> Settings:
        keys = msgspec.structs.replace(KEYS, gateway_keys=gateway)
        return msgspec.structs.replace(settings, signing=keys)

    new = "n" * 40
    calls, made = settings.topics.calls.name, settings.topics.task_calls.name
    async with Kafka(settings) as kafka:
        pen = Pen(kafka, settings)
        await pen.write(settings.topics.tasks.name, TASK, key="mood")
        # first the workers know both, then the gateways sign with the new one, then the old one goes
        async with working(with_keys(f"{GATEWAY} {new}"), "detect"):
            await pen.write(calls, audited(0), "gateway")
            await pen.write(calls, audited(1), "gateway", signing=Signing(with_keys(f"{new} {GATEWAY}")))
            await kafka.done("detect")
        async with working(with_keys(new), "detect"):
            await pen.write(calls, audited(2), "gateway", signing=Signing(with_keys(new)))
            await pen.write(calls, audited(3), "gateway")
            await kafka.done("detect")
        found: list[TaskCall] = await kafka.rows(made, TaskCall)
    stamped = {call.id: call.decision is not None for call in found}
    assert stamped == {"c00": True, "c01": True, "c02": True, "c03": False}


async def test_without_any_key_everybody_is_believed(dev_broker: str, tmp_path: Path) -> None:
    settings, _ = settings_for(dev_broker, tmp_path)
    async with Kafka(settings) as kafka:
        pen = Pen(kafka, settings)
        await pen.write(settings.topics.tasks.name, TASK, key="mood")
        async with working(settings, "detect"):
            await pen.write(settings.topics.calls.name, audited(0))
            await kafka.done("detect")
        (found,) = await kafka.rows(settings.topics.task_calls.name, TaskCall)
    assert found.decision is not None


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


async def test_the_command_says_who_signed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka.bootstrap,
        "JITR_KAFKA__PREFIX": settings.kafka.prefix,
        "JITR_SIGNING__GATEWAY_KEYS": GATEWAY,
        "JITR_SIGNING__WORKER_KEYS": WORKER,
        "JITR_SIGNING__PEOPLE__ADA": ADA,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
    }.items():
        monkeypatch.setenv(name, value)
    calls = settings.topics.calls.name
    async with Kafka(settings) as kafka:
        pen = Pen(kafka, settings)
        await pen.write(calls, audited(0), "gateway")
        await pen.write(calls, audited(1))
        await pen.write(calls, audited(2), "gateway", change=put(b'"due":true', b'"due":false'))
        pause = Command(id="p", tenant="default", task="mood", time=1e9, verb="pause", by="ada")
        async with working(settings, "control"):
            await pen.write(settings.topics.evidence.name, pause, "person", "ada", key="mood")
            await kafka.done("control")
    for id, says in {"d0": "by gateway (key ", "d1": "by nobody", "d2": "wrongly"}.items():
        code, out = await asyncio.to_thread(said, capsys, "why", id)
        assert code == 0 and f"signed    {says}" in out
    _, out = await asyncio.to_thread(said, capsys, "why", "d2", "--json")
    assert msgspec.json.decode(out)["signed_by"] == "forged"
    _, out = await asyncio.to_thread(said, capsys, "ledger", "--json")
    (step,) = msgspec.json.decode(out)
    assert step["by"] == f"ada (key {key_id(ADA)})"
    assert step["by"] in (await asyncio.to_thread(said, capsys, "ledger"))[1]
    for secret in (GATEWAY, WORKER, ADA):
        for verb in (("config", "show"), ("doctor",)):
            _, out = await asyncio.to_thread(said, capsys, *verb)
            assert secret not in out
    assert f"worker {key_id(WORKER)}" in out
