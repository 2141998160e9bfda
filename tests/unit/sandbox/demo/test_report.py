"""The report says what was seen, and the page shows it."""

import json

import msgspec
import pytest

from jitr.sandbox.demo.driver import AnsweredRequest
from jitr.sandbox.demo.page import page
from jitr.sandbox.demo.report import build
from jitr.sandbox.demo.story import commonest
from jitr.sandbox.demo.watch import DemoWatch, Moment
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.money import Money
from jitr.schemas.routes import Proof, Route, SurrogateRef
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Signature, Task, Template

PROOF = Proof(
    kind="later", target=0.9, delta=0.05, bound=0.91, calls=100, agreed=99, coverage=0.8, threshold=0.5
)
MONEY = Money(
    teacher_calls=8, audit_calls=2, answered_calls=10, teacher_usd=0.8, audit_usd=0.2, train_usd=0.1
)


@pytest.fixture
def watch() -> DemoWatch:
    seen = DemoWatch(Settings())
    task = Task(
        id="t1",
        tenant="demo",
        signature=Signature(model="m", shape="user"),
        status="task",
        name="spam <b>",
        templates=(Template(prefix="Is this spam?\n"),),
    )
    ref = SurrogateRef(version="v", uri="u", digest="d", encoders="ngrams", state="certified", proof=PROOF)
    route = Route(
        tenant="demo", task="t1", state="active", surrogate=ref, audits=50, agreed=48, calls=20, money=MONEY
    )
    seen.tasks["t1"], seen.routes["t1"] = task, route
    seen.tasks["t2"] = msgspec.structs.replace(task, id="t2", status="candidate")
    seen.moments.append(Moment(3.0, "t1", "active", "because"))
    return seen


def outcomes() -> list[AnsweredRequest]:
    def one(at: float, route: str, right: bool | None, task: str | None = "spam") -> AnsweredRequest:
        found = "t1" if task else None
        return AnsweredRequest(at_s=at, latency_s=0.1, task=task, found=found, route=route, right=right)

    by_teacher = [one(n, "teacher", True) for n in range(10)]
    by_surrogate = [one(10.0 + n, "surrogate", n != 0) for n in range(10)]
    return [*by_teacher, *by_surrogate, one(30.0, "teacher", None, task=None)]


def report(watch: DemoWatch):  # type: ignore[no-untyped-def]
    return build(
        watch,
        outcomes(),
        bill_usd=1.0,
        target=0.9,
        delta=0.05,
        changed={"spam": 12.0},
        machine="here",
        teacher="a simulated LLM",
    )


def test_shares_savings_and_agreement_are_those_of_what_was_seen(watch: DemoWatch) -> None:
    made = report(watch)
    (task,) = made.tasks
    assert (task.calls, task.replaced_share, task.true_agreement) == (20, 0.5, 0.9)
    assert task.agreement == 0.96
    assert task.agreement_bound is not None
    assert 0.87 < task.agreement_bound < 0.96
    assert task.first_saving_s == made.first_saving_s == 10.0
    # ten calls at a mean bill of 0.10, less 0.20 of audits and 0.10 of training
    assert made.net_saving_usd == pytest.approx(0.7)
    assert made.actual_cost_usd == pytest.approx(1.1)
    assert made.teacher_cost_usd == pytest.approx(1.8)


def test_the_json_has_the_promised_fields(watch: DemoWatch) -> None:
    made = json.loads(msgspec.json.encode(report(watch)))
    tops = "tasks first_saving_s teacher_cost_usd actual_cost_usd net_saving_usd true_agreement"
    assert set(tops.split()) <= set(made)
    fields = """name id template calls state surrogate encoders certified_bound agreement agreement_bound
        replaced_share holds demotions saved_usd first_saving_s"""
    assert set(fields.split()) <= set(made["tasks"][0])


def test_the_page_shows_the_task_and_escapes_what_it_did_not_write(watch: DemoWatch) -> None:
    shown = page(report(watch))
    assert "spam &lt;b&gt;" in shown
    assert "<b>spam <b>" not in shown
    assert shown.count("<svg") == 2
    assert "http" not in shown.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", ""), "the page needs nothing from elsewhere"


def test_the_teacher_swaps_two_answers_that_the_task_has() -> None:
    workload = Workload(seed=1, tasks=["sentiment", "complaint-fields"])
    first, second = commonest(workload, "sentiment") or ("", "")
    assert first != second
    assert {first, second} <= set(workload.labels("sentiment"))
    assert commonest(workload, "complaint-fields") is None
