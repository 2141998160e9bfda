"""What an earlier race found spares the later one time, and never the right winner."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from stage.encoders import ManyEncoders, race_data_of, ticking

from jitr.models.datasets.examples import Dataset, Example
from jitr.models.surrogates.artifact.artifact import RaceEntry
from jitr.models.surrogates.candidates import Candidate
from jitr.models.training.search.prior import Prior
from jitr.models.training.search.race import Race, race
from jitr.models.training.search.shortlist import shortlist
from jitr.schemas.trainings import Limits

ROOMY = Limits(max_train_s=1e6, max_latency_ms=1e6, max_ram_mb=1e6)
C, E = Candidate("linear", False, "c"), Candidate("linear", False, "e")


def entry(candidate: Candidate, accuracy: float, rows: int = 300, lost: str = "") -> RaceEntry:
    return RaceEntry(
        candidate=candidate.name, rows=rows, accuracy=accuracy, lost=lost, curve=((rows, accuracy),)
    )


def run(
    prior: Prior | None,
    limits: Limits = ROOMY,
    clock: Callable[[], float] | None = None,
    n: int = 400,
    encoders: ManyEncoders | None = None,
) -> tuple[Race, ManyEncoders]:
    """A race of n-grams with a good and a fair encoder, `c` and `e`."""
    encoders = encoders or ManyEncoders()
    dataset = Dataset.from_examples(
        Example(str(i), float(i), f"text number {i}", f"label {i % 3}") for i in range(n)
    )
    found = race(
        dataset,
        limits=limits,
        target=0.9,
        seed=0,
        weights=encoders,  # type: ignore[arg-type]  # a stand-in
        clock=clock or ticking(1e-4),
        encoders=("c", "e"),
        prior=prior,
    )
    return found, encoders


def lost(found: Race) -> dict[str, str]:
    return {entry.candidate: entry.lost for entry in found.entries}


def test_who_was_clearly_beaten_is_not_run_again_and_is_told_why() -> None:
    others = (E, Candidate("ridge", True, "e"), Candidate("ridge", True, "c", "e"))
    beaten = [entry(c, 0.6, lost="agreed less") for c in others]
    plain, _ = run(None)
    found, encoders = run(Prior((entry(C, 0.99), *beaten), same=True))
    assert found.candidate == plain.candidate and found.fitted.forecast == plain.fitted.forecast
    assert lost(found)["e linear"] == "was beaten by c linear on 300 labels, 0.600 to 0.990"
    assert encoders.asked["e"] == 0 and len(found.entries) == len(plain.entries)
    # the verdict holds for one race
    again, encoders = run(Prior(found.entries, same=True))
    assert encoders.asked["e"] > 0 and "beaten" not in lost(again)["e linear"]


@pytest.mark.parametrize(
    "prior",
    [
        Prior((entry(C, 0.9), entry(E, 0.6)), same=False),  # another task's
        Prior((entry(C, 0.9), entry(E, 0.85)), same=True),  # not clearly
        Prior((entry(C, 0.9, rows=299), entry(E, 0.6, rows=299)), same=True),  # on too few labels
        Prior((entry(C, 0.9, rows=1200), entry(E, 0.6)), same=True),  # not on the same labels
        Prior((entry(C, 0.9), RaceEntry(candidate="e linear", lost="is not here")), same=True),
        Prior((entry(Candidate("tuned", False, "c"), 0.9), entry(E, 0.6)), same=True),
        Prior(),
    ],
)
def test_who_was_not_clearly_beaten_runs_again(prior: Prior) -> None:
    assert prior.beaten(E) == ""


def test_n_grams_and_tuned_layers_always_run_again() -> None:
    ngrams, tuned = Candidate("linear", True, None), Candidate("tuned", False, "e")
    prior = Prior((entry(C, 0.99), entry(ngrams, 0.5), entry(tuned, 0.5), entry(E, 0.5)), same=True)
    assert not prior.beaten(ngrams) and not prior.beaten(tuned) and prior.beaten(E)


def test_who_was_beaten_runs_where_the_one_that_beat_it_falls_out(monkeypatch: pytest.MonkeyPatch) -> None:
    prior = Prior((entry(C, 0.99), entry(E, 0.6)), same=True)
    found, _ = run(prior, Limits(max_ram_mb=1e6, max_train_s=1e6, max_latency_ms=1e-3), ticking(1e-9))
    assert "e linear" in lost(found) and "beaten" not in lost(found)["e linear"]

    from jitr.models.training.search.runner import Runner

    outside = Runner.outside
    monkeypatch.setattr(
        Runner, "outside", lambda r, *told: "is too slow" if r.candidate == C else outside(r, *told)
    )
    found, encoders = run(prior)
    assert lost(found)["c linear"] == "is too slow"
    assert encoders.asked["e"] > 0 and "beaten" not in lost(found)["e linear"]


def test_the_limit_of_seconds_hits_who_promised_least() -> None:
    # n-grams run in any case; the clock leaves time for one encoder
    def ran(prior: Prior | None) -> set[str]:
        found, _ = run(prior, Limits(max_train_s=7.0, max_latency_ms=1e6), ticking(0.5), n=200)
        return {e.candidate.partition(" ")[0].partition("+")[0] for e in found.entries if e.rows}

    ridge = Candidate("ridge", True, "e")
    assert "e" not in ran(None)
    assert "e" in ran(Prior((entry(E, 0.9), entry(ridge, 0.9), entry(C, 0.5))))


@pytest.mark.parametrize(("order", "kept"), [("cab", ("a", "c")), ("bca", ("b", "c"))])
def test_a_tie_between_encoders_goes_to_what_was_better_on_an_earlier_task(order: str, kept: tuple) -> None:
    encoders = ManyEncoders(dict.fromkeys("bac", 50.0))  # each tells all
    like = Prior(tuple(entry(Candidate("linear", False, b), 0.9 - 0.1 * i) for i, b in enumerate(order)))
    found, lost = shortlist(race_data_of(encoders), encoders.names, Limits(), ticking(), like.encoders)
    assert sorted(found) == list(kept) and len(lost) == 1


def test_of_the_same_task_no_tie_is_decided_by_whether_its_race_was_run() -> None:
    assert Prior((entry(C, 0.9), entry(E, 0.6)), same=True).encoders == {}
    assert np.allclose(list(Prior((entry(C, 0.9), entry(E, 0.6))).encoders.values()), [0.9, 0.6])


def test_what_a_pair_reached_counts_for_an_encoder_that_did_not_run_alone() -> None:
    pair = entry(Candidate("ridge", True, "c", "e"), 0.99)
    assert Prior((pair, entry(C, 0.9))).encoders == {"c": 0.9, "e": 0.99}
    assert Prior((pair, entry(C, 0.9), entry(Candidate("ridge", True, "e"), 0.6))).encoders == {
        "c": 0.9,
        "e": 0.6,
    }


def test_two_encoders_that_err_apart_win_together_and_each_text_is_read_once() -> None:
    found, encoders = run(None, encoders=ManyEncoders({"c": 2.0, "e": 2.0}))
    accuracy = {e.candidate: e.accuracy for e in found.entries if e.rows == 400}
    assert found.candidate == Candidate("ridge", True, "c", "e")
    assert found.fitted.accuracy > 0.05 + max(a for name, a in accuracy.items() if "c+e" not in name)
    apart = 16 + 20 * 2 + 1  # looks at speed, and at the time that an answer takes
    assert max(encoders.asked.values()) <= 400 + 4 * apart


def test_a_pair_is_out_with_the_one_that_is_missing_and_by_what_both_take() -> None:
    pair = "c+e+ngrams ridge"
    told = lost(run(None, encoders=ManyEncoders(e={"ram_mb": 1e7}))[0])
    assert told[pair] == told["e linear"] == "takes 10000000 MB, 1000000 MB are allowed"
    found, _ = run(None, encoders=ManyEncoders(c={"ram_mb": 6e5}, e={"ram_mb": 6e5}))
    assert lost(found)[pair] == "takes 1200000 MB, 1000000 MB are allowed"
    assert {e.rows for e in found.entries if e.candidate == pair} == {0}
    assert lost(found)["c linear"] != lost(found)[pair]


class Ticking:
    """Encoders that take a tenth of a second for a text, by their own clock."""

    def __init__(self) -> None:
        self.encoders = ManyEncoders({"c": 2.0, "e": 2.0})

    def __call__(self) -> float:
        return 0.1 * sum(self.encoders.asked.values())


@pytest.mark.parametrize("known", [False, True], ids=["new", "same task again"])
def test_seconds_of_encoding_are_forecast_by_the_rows_that_are_missing(known: bool) -> None:
    """They grow with the rows, not as the fit of a ridge does; a pair that leads is charged with both."""
    pair = Candidate("ridge", True, "c", "e")
    beaten = [
        entry(Candidate(head, head == "ridge", name), 0.5) for head in ("linear", "ridge") for name in "ce"
    ]
    prior = Prior((entry(pair, 0.95), *beaten), same=True) if known else None
    clock = Ticking()
    # 2,100 rows by two encoders are 420 s, and looks at speed and answers some more
    found, _ = run(prior, Limits(max_train_s=560.0, max_latency_ms=1e6), clock, 2_100, clock.encoders)
    assert found.candidate == pair, lost(found)


def test_who_was_beaten_runs_even_if_the_one_that_beat_it_falls_out_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from jitr.models.training.search.runner import Runner

    outside = Runner.outside

    def grown(runner: Runner, *told: object) -> str:
        large = runner.candidate == C and runner.entry.rows == 700
        return "is too large by now" if large else outside(runner, *told)  # type: ignore[arg-type]

    monkeypatch.setattr(Runner, "outside", grown)
    ridges = [
        Candidate("ridge", True, "c"),
        Candidate("ridge", True, "e"),
        Candidate("ridge", True, "c", "e"),
    ]
    prior = Prior((entry(C, 0.99), *(entry(c, 0.6) for c in (E, *ridges))), same=True)
    found, _ = run(prior, n=700)
    assert lost(found)["c linear"] == "is too large by now"
    assert found.candidate.encoder is not None and found.p99_ms > 0


def test_a_pair_takes_no_place_of_another() -> None:
    from jitr.models.training.search.race import _halve
    from jitr.models.training.search.runner import Runner

    def runner(candidate: Candidate, accuracy: float) -> Runner:
        return Runner(candidate, RaceEntry(candidate=candidate.name, rows=300, accuracy=accuracy))

    singles = [runner(C, a) for a in (0.9, 0.8, 0.5)]
    pair = runner(Candidate("ridge", True, "c", "e"), 0.95)
    assert _halve([*singles, pair], 600, []) == [pair, *_halve(singles, 600, [])]
    assert _halve([pair], 600, []) == [pair]


def test_a_second_opinion_joins_the_ridge_of_its_own_encoder_and_no_pair() -> None:
    from jitr.models.training.search.runner import Runner
    from jitr.models.training.search.tuned_stage import run_tuned_stage

    pair = Candidate("ridge", True, "c", "e")
    standing = [Runner(pair, RaceEntry(candidate=pair.name, rows=400, coverage=0.5))]
    joined = Runner(Candidate("joined", True, "c"), RaceEntry(candidate="c+ngrams joined"))
    told = {"limits": ROOMY, "left": 500.0, "target": 0.9, "texts": [], "clock": ticking()}
    why = run_tuned_stage(joined, standing, race_data_of(ManyEncoders()), rows=400, **told)
    assert why == "not tried: the ridge that it would join is out"


def test_those_left_out_hold_their_places_so_that_nobody_else_is_out_sooner() -> None:
    from jitr.models.training.search.race import _halve
    from jitr.models.training.search.runner import Runner

    def runners(*accuracies: float) -> list[Runner]:
        return [Runner(C, RaceEntry(candidate=str(a), rows=300, accuracy=a)) for a in accuracies]

    whole = _halve(runners(0.9, 0.8, 0.5, 0.4), 600, [])
    spared = _halve(runners(0.9, 0.8), 600, [], aside=2)
    assert [r.entry.accuracy for r in whole] == [r.entry.accuracy for r in spared] == [0.9, 0.8]
    assert len(_halve(runners(0.9, 0.8), 600, [])) == 1
