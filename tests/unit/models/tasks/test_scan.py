import pytest

from jitr.models.tasks.finder import FinderPolicy
from jitr.models.tasks.scan import scan
from jitr.schemas.prices import Price

ASK = "Decide whether the following remark is polite. Answer yes or no.\nRemark: "
PRICES = {"gpt-4o": Price(2.5, 10.0)}
POLICY = FinderPolicy(support=10)


def test_a_log_becomes_tasks_with_calls_cost_and_labels(make, slot_values):
    log = [
        make(str(i), ASK + p, ["Yes", "No"][i % 3 == 0], time=float(i)) for i, p in enumerate(slot_values(60))
    ]
    log += [make(f"n{i}", f"{p[::-1]}?", "Well, perhaps. " * 9) for i, p in enumerate(slot_values(20))]
    report = scan(log, PRICES, policy=POLICY).report
    (task,) = report.tasks
    assert (report.calls, task.calls, report.unmatched, report.unmatched_share) == (80, 60, 20, 0.25)
    assert task.labels == (("yes", 40), ("no", 20))
    assert (task.label_count, task.unparsed, task.kind) == (2, 0, "label")
    assert task.template == ASK.strip() + "{...}"
    assert (task.first_seen, task.last_seen) == (0.0, 59.0)
    assert task.cost_usd + report.unmatched_usd == pytest.approx(report.cost_usd)
    assert report.estimated_tokens == 80


def test_a_model_without_a_price_is_said_to_be_unpriced(make):
    report = scan([make("1", "hello", "hi", model="unheard-of")], PRICES).report
    assert (report.unpriced, report.cost_usd) == (1, 0.0)


def test_progress_ends_at_the_number_of_calls(make, slot_values):
    told = []
    scan([make(str(i), p) for i, p in enumerate(slot_values(300))], PRICES, told.append)
    assert told == [256, 300]


def test_tenants_are_scanned_apart(make, slot_values):
    log = [make(str(i), ASK + p, "yes", tenant="ab"[i % 2]) for i, p in enumerate(slot_values(40))]
    assert sorted((t.tenant, t.calls) for t in scan(log, PRICES, policy=POLICY).report.tasks) == [
        ("a", 20),
        ("b", 20),
    ]


def test_an_empty_log_has_nothing():
    report = scan([], PRICES).report
    assert (report.calls, report.tasks, report.unmatched_share) == (0, (), 0.0)
