"""Whatever evidence comes, in whatever order and however often: what must hold of a row holds."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from jitr.models import lifecycle
from jitr.models.lifecycle import live, next, on_offer, shadowed, training_due
from jitr.schemas.evidence import (
    Alarm,
    AuditWindow,
    Certified,
    Command,
    Demotion,
    Evidence,
    Futile,
    Resume,
    Tick,
    Trained,
    TrainingFailed,
    Withheld,
)
from jitr.schemas.money import Money
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Proof, Route, RouteVersion, SurrogateRef, SurrogateTarget, TeacherTarget

VERSIONS = st.sampled_from(["v1", "v1", "v1", "v2", "v3"])
PROOF = Proof(
    kind="later", target=0.95, delta=0.05, bound=0.955, calls=200, agreed=199, coverage=0.7, threshold=0.5
)
KINDS: dict[type[Any], dict[str, st.SearchStrategy[Any]]] = {
    Trained: {
        "training": st.just("tr"),
        "surrogate": VERSIONS.map(
            lambda v: SurrogateRef(version=v, uri="u", digest="d", encoders="ngrams", labels=300)
        ),
        "output": st.just("label"),
        "demotions": st.sampled_from([0, 1, 1]),
        "cost_usd": st.just(0.25),
    },
    TrainingFailed: {"training": st.just("tr"), "reason": st.just("no"), "labels": st.integers(0, 900)},
    Certified: {
        "surrogate": VERSIONS,
        "proof": st.builds(
            lambda kind, bound, coverage: msgspec.structs.replace(
                PROOF, kind=kind, bound=bound, coverage=coverage
            ),
            st.sampled_from(["later", "later", "split", "loo"]),
            st.sampled_from([0.955, 0.94]),
            st.sampled_from([0.4, 0.8]),
        ),
    },
    Futile: {"surrogate": VERSIONS, "reason": st.just("hopeless")},
    AuditWindow: {
        "surrogate": st.one_of(st.none(), VERSIONS),
        "calls": st.integers(0, 500),
        "accepted": st.integers(0, 200),
        "audits": st.just(60),
        "agreed": st.integers(40, 60),
        "audit_rate": st.sampled_from([0.0, 0.001, 0.4]),
        "money": st.just(Money(answered_calls=3, audit_usd=0.5)),
    },
    Alarm: {
        "surrogate": VERSIONS,
        "monitor": st.sampled_from(["cusum", "adwin", "blind", "teacher"]),
        "statistic": st.just(6.0),
        "threshold": st.just(5.0),
        "reason": st.just("why"),
    },
    Resume: {"surrogate": VERSIONS, "scored": st.just(300), "disagreement": st.just(0.02)},
    Demotion: {
        "surrogate": VERSIONS,
        "e_value": st.just(11.0),
        "threshold": st.just(10.0),
        "scored": st.just(300),
        "disagreement": st.just(0.2),
    },
    Command: {"verb": st.sampled_from(["approve", "promote", "pause", "unpause", "rollback"])},
    Tick: {"labels": st.integers(0, 900), "repeats": st.integers(0, 90)},
    Withheld: {"cause": st.sampled_from(["cost", "self_agreement", None]), "reason": st.just("figures")},
}
# What moves a live route is drawn more often than what ends it.
WEIGHTED = [Trained, Certified, Command, AuditWindow, Alarm, Resume, *KINDS]
PIECES = {kind: st.tuples(st.just(kind), st.fixed_dictionaries(fields)) for kind, fields in KINDS.items()}
BODIES = st.lists(st.one_of([PIECES[kind] for kind in WEIGHTED]), min_size=8, max_size=25)
# Most sequences begin on the way to an active route, so that the later states are reached.
FIRST = SurrogateRef(version="v1", uri="u", digest="d", encoders="ngrams", labels=300)
START = [
    (Trained, {"training": "tr", "surrogate": FIRST, "output": "label"}),
    (Certified, {"surrogate": "v1", "proof": PROOF}),
    (Command, {"verb": "approve"}),
    (AuditWindow, {"surrogate": "v1", "audits": 120, "agreed": 118, "audit_rate": 0.1}),
]
LIVES = st.builds(lambda start, rest: START[:start] + rest, st.integers(0, 4), BODIES).map(
    lambda bodies: [
        kind(id=f"e{n}", tenant="t", task="k", time=float(n), **fields)
        for n, (kind, fields) in enumerate(bodies)
    ]
)
POLICIES = st.sampled_from([Policy(), Policy(approval="auto")])
NEW = Route(tenant="t", task="k")


def rows(life: list[Evidence], policy: Policy, row: Route = NEW) -> list[lifecycle.Step]:
    steps = []
    for n, evidence in enumerate(life):
        step = next(row, evidence, policy, RouteVersion(incarnation=1, offset=n))
        row = step.route
        steps.append(step)
    return steps


@given(LIVES, POLICIES)
@settings(max_examples=400)
def test_a_row_is_always_in_order(life: list[Evidence], policy: Policy) -> None:
    for step in rows(life, policy):
        row = step.route
        answering = row.state in ("canary", "active")
        assert isinstance(row.target, SurrogateTarget) == (answering or row.state == "hold")
        if isinstance(row.target, SurrogateTarget):
            ref = live(row)
            assert ref is not None
            assert ref.version == row.target.version
            assert ref.proof is not None
            assert ref.proof.bound >= policy.target
            assert ref.proof.kind != "loo"
        else:
            assert row.target == TeacherTarget()
            assert row.share == row.audit_rate == 0.0
        if answering:
            assert policy.audit_floor <= row.audit_rate <= 1
            assert row.share > 0
        if row.state == "hold":
            assert row.share == 0
        assert (row.state == "offered") == (
            on_offer(row) is not None and live(row) is None and row.state != "paused"
        )
        assert (row.resume is not None) == (row.state in ("hold", "paused"))
        assert len(row.seen) <= 16


@given(LIVES, POLICIES)
@settings(max_examples=400)
def test_nothing_answers_without_a_certificate_and_a_word(life: list[Evidence], policy: Policy) -> None:
    certified: set[str] = set()
    approved = False
    before = NEW
    for evidence, step in zip(life, rows(life, policy), strict=True):
        if isinstance(evidence, Certified):
            certified.add(evidence.surrogate)
        row = step.route
        ref = live(row)
        old = live(before)
        if ref is not None and (old is None or old.version != ref.version):
            word = isinstance(evidence, Command) and evidence.verb in ("approve", "promote", "unpause")
            approved = word or (policy.approval == "auto" and isinstance(evidence, Certified))
            assert ref.version in certified
            assert approved
            if policy.approval == "manual":
                assert isinstance(evidence, Command)
                assert evidence.verb != "unpause"
        before = row


@given(LIVES, POLICIES, st.data())
@settings(max_examples=200)
def test_a_replay_changes_nothing(life: list[Evidence], policy: Policy, data: st.DataObject) -> None:
    whole = rows(life, policy)
    assert rows(life, policy) == whole
    last = whole[-1].route
    assert [step.route for step in rows(life, policy, last)] == [last] * len(life)
    cut = data.draw(st.integers(0, len(life)))
    back = data.draw(st.integers(0, cut))
    row = whole[cut - 1].route if cut else NEW
    for n in [*range(back, cut), *range(back, len(life))]:
        row = next(row, life[n], policy, RouteVersion(incarnation=1, offset=n)).route
    assert row == last


@given(LIVES, POLICIES, st.data())
@settings(max_examples=200)
def test_copies_at_later_offsets_move_and_count_nothing(
    life: list[Evidence], policy: Policy, data: st.DataObject
) -> None:
    plain = rows(life, policy)[-1].route
    row, offset = NEW, 0
    for n, evidence in enumerate(life):
        copies = data.draw(st.integers(0, 2))
        for again in (*life[max(0, n - copies) : n], evidence):
            row = next(row, again, policy, RouteVersion(incarnation=1, offset=offset)).route
            offset += 1
    assert msgspec.structs.replace(row, version=plain.version) == plain


@given(LIVES, POLICIES)
@settings(max_examples=200)
def test_versions_grow_counts_never_shrink_and_the_ledger_has_every_arrow(
    life: list[Evidence], policy: Policy
) -> None:
    before = NEW
    for step in rows(life, policy):
        row = step.route
        assert row.version > before.version
        assert row.calls >= before.calls
        assert row.labels >= before.labels
        assert row.demotions >= before.demotions
        arrows = [
            (r.state, r.resume, *((s.version, s.state) if s else () for s in (r.surrogate, r.candidate)))
            for r in (before, row)
        ]
        causes = [r.withheld.cause if r.withheld else None for r in (before, row)]
        noted = row.rejections > before.rejections or causes[0] != causes[1]
        assert step.moved == (arrows[0] != arrows[1]) or (step.moved and noted)
        assert not (step.moved and step.refused)
        assert step.reason
        before = row


@given(LIVES, POLICIES)
@settings(max_examples=50)
def test_a_row_survives_the_wire(life: list[Evidence], policy: Policy) -> None:
    row = rows(life, policy)[-1].route
    assert msgspec.json.decode(msgspec.json.encode(row), type=Route) == row


@given(LIVES, POLICIES)
@settings(max_examples=200)
def test_whatever_happened_a_task_can_be_served_again(life: list[Evidence], policy: Policy) -> None:
    """By what the agents send by themselves, and where a person has said something, by a person's word."""
    steps = rows(life, policy)
    row, n = steps[-1].route, len(life)

    def tell(kind: type[Any], **fields: Any) -> None:
        nonlocal row, n
        evidence = kind(id=f"later {n}", tenant="t", task="k", time=float(n), **fields)
        row = next(row, evidence, policy, RouteVersion(incarnation=1, offset=n)).route
        n += 1

    if row.state == "paused":
        tell(Command, verb="unpause")
    if row.state == "hold":
        tell(Resume, surrogate=row.surrogate.version, scored=300, disagreement=0.02)  # type: ignore[union-attr]
    if live(row) is None and on_offer(row) is None:
        if shadowed(row) is None:
            # from any last training, and from none where the teacher has changed or collect lost all
            labels = row.labels + 10_000
            for trained_at, old in ((0, 0), (row.labels, 0), (0, row.labels)):
                assert training_due(labels, trained_at, row, policy, old)
            assert training_due(2_000, 0, row, policy)
            new = SurrogateRef(version="new", uri="u", digest="d", encoders="ngrams", labels=labels)
            tell(Trained, training="tr", surrogate=new, output="label", demotions=row.demotions)
        ref = shadowed(row)
        assert ref is not None
        tell(Certified, surrogate=ref.version, proof=PROOF)
    if row.state == "offered":
        tell(Command, verb="approve")
    assert row.state in ("canary", "active")
