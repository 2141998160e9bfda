"""The shadow run: proves strictest first, stops when hopeless, and comes back from its state."""

import random

import msgspec
import pytest

from jitr.models.promise.shadow import ShadowProof, ShadowState

SHARES = [0.25, 0.5, 0.75, 1.0]
CUTS = [0.75, 0.5, 0.25, 0.0]


def run(proof: ShadowProof, calls: int, sure: float, unsure: float, seed: int = 0) -> ShadowProof:
    """The upper half of scores agrees `sure` of the time, the lower `unsure`."""
    rng = random.Random(seed)
    for _ in range(calls):
        score = rng.random()
        proof.update(score, rng.random() < (sure if score >= 0.5 else unsure))
    return proof


def test_only_the_steps_that_keep_the_target_are_proved() -> None:
    proof = run(ShadowProof(SHARES, CUTS, [0.99, 0.99, 0.9, 0.8], 0.95, 0.05), 600, 1.0, 0.6)
    assert proof.index == 1
    certificate = proof.proved
    assert certificate is not None
    assert certificate.kind == "later"
    assert certificate.threshold == 0.5
    assert certificate.calls == certificate.agreed
    assert certificate.coverage == pytest.approx(0.5, abs=0.08)
    assert 0.95 < certificate.bound < 1


def test_nothing_is_proved_before_a_call_came() -> None:
    proof = ShadowProof(SHARES, CUTS, [0.99] * 4, 0.95, 0.05)
    assert (proof.proved, proof.index, proof.futile, proof.settled) == (None, None, None, False)


def test_a_proof_takes_about_as_long_as_forecast() -> None:
    proof = ShadowProof([1.0], [0.0], [0.98], 0.95, 0.05)
    assert 150 < proof.forecast_calls < 350
    run(proof, 4 * proof.forecast_calls, 0.98, 0.98)
    assert proof.proved is not None


def test_a_step_that_was_once_proved_stays_proved() -> None:
    proof = run(ShadowProof([1.0], [0.0], [0.99], 0.9, 0.05), 80, 1.0, 1.0)
    for _ in range(40):
        proof.update(0.5, agreed=False)
    assert proof.proved is not None
    assert proof.proved.bound == 0.9


def test_one_disagreement_costs_more_calls() -> None:
    def calls(disagreements: int) -> int:
        proof = ShadowProof([1.0], [0.0], [0.99], 0.95, 0.05)
        for _ in range(disagreements):
            proof.update(0.5, agreed=False)
        while proof.proved is None:
            proof.update(0.5, agreed=True)
        return proof.calls

    assert calls(0) < calls(1) < calls(2)


def test_a_certificate_that_is_stricter_in_delta_needs_more() -> None:
    def needed(delta: float) -> int:
        proof = ShadowProof([1.0], [0.0], [0.99], 0.95, delta)
        while proof.proved is None:
            proof.update(0.5, agreed=True)
        return proof.calls

    assert needed(0.001) > needed(0.05)


def test_a_surrogate_below_the_target_is_given_up() -> None:
    proof = run(ShadowProof(SHARES, CUTS, [0.97] * 4, 0.95, 0.05), 400, 0.8, 0.8)
    assert proof.proved is None
    assert "below the target" in str(proof.futile)


def test_without_a_hopeful_forecast_it_is_not_even_begun() -> None:
    proof = ShadowProof(SHARES, CUTS, [0.9] * 4, 0.95, 0.05)
    assert "forecast" in str(proof.futile)
    assert proof.forecast_calls == 0


def test_a_run_without_end_is_given_up_so_that_training_can_go_on() -> None:
    proof = ShadowProof([1.0], [0.0], [0.99], 0.95, 0.05)
    calls = 0
    while proof.futile is None and calls < 5_000:
        calls += 1
        proof.update(0.5, agreed=calls % 20 > 0)  # exactly the target
    assert "not proved after" in str(proof.futile)


def feed(proof: ShadowProof, until: str) -> ShadowProof:
    """Sure calls that all agree, between unsure ones of which one in twenty does not."""
    k = 0
    while not getattr(proof, until):
        k += 1
        proof.update(0.9, agreed=True)
        proof.update(0.1, agreed=k % 20 != 5)
    return proof


def test_the_offer_waits_for_a_larger_share_that_is_forecast_soon_but_only_as_long_again() -> None:
    soon = feed(ShadowProof([0.5, 1.0], [0.5, 0.0], [0.999, 0.985], 0.95, 0.05), "proved")
    first = soon.calls
    assert not soon.settled
    feed(soon, "settled")
    assert first < soon.calls <= 2 * first + 2


def test_the_offer_is_made_at_once_where_no_larger_share_is_forecast() -> None:
    never = feed(ShadowProof([0.5, 1.0], [0.5, 0.0], [0.999, 0.90], 0.95, 0.05), "proved")
    assert never.settled


def test_scores_below_every_threshold_prove_nothing() -> None:
    proof = ShadowProof([0.3], [0.9], [0.99], 0.95, 0.05)
    for _ in range(300):
        proof.update(0.5, agreed=True)
    assert proof.proved is None
    assert proof.calls == 300


@pytest.mark.parametrize("cut", [0, 1, 57, 300])
def test_a_saved_run_goes_on_as_if_nothing_had_been(cut: int) -> None:
    whole = run(ShadowProof(SHARES, CUTS, [0.99, 0.98, 0.96, 0.9], 0.95, 0.05), 0, 0, 0)
    rng = random.Random(2)
    events = [(rng.random(), rng.random() < 0.97) for _ in range(400)]
    half = ShadowProof.from_state(whole.state())
    for k, event in enumerate(events):
        if k == cut:
            wire = msgspec.json.encode(half.state())
            half = ShadowProof.from_state(msgspec.json.decode(wire, type=ShadowState))
        whole.update(*event)
        half.update(*event)
    assert half.state() == whole.state()
    assert half.proved == whole.proved


def test_targets_near_one_can_be_proved_too() -> None:
    proof = ShadowProof([1.0], [0.0], [1.0], 0.998, 0.05)
    while proof.proved is None and proof.calls < 10_000:
        proof.update(0.5, agreed=True)
    assert proof.proved is not None


@pytest.mark.parametrize(
    ("shares", "cuts", "forecast"),
    [
        ([], [], []),
        ([0.5], [0.5, 0.1], [0.9]),
        ([1.0, 0.5], [0.5, 0.1], [0.9, 0.9]),
        ([0.5, 1], [0, 1], [1, 1]),
    ],
)
def test_steps_that_do_not_fit_are_refused(
    shares: list[float], cuts: list[float], forecast: list[float]
) -> None:
    with pytest.raises(ValueError, match=r"step|strictest"):
        ShadowProof(shares, cuts, forecast, 0.95, 0.05)
