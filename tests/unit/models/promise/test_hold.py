"""A hold ends only on enough calls, and only within the limit."""

import pytest

from jitr.models.promise.hold import Hold


@pytest.mark.parametrize(
    ("scored", "disagreed", "resumes"), [(299, 0, False), (300, 18, True), (300, 19, False), (0, 0, False)]
)
def test_it_resumes_on_enough_scored_calls_at_most_a_point_above_what_is_allowed(
    scored: int, disagreed: int, resumes: bool
) -> None:
    hold = Hold(monitor="cusum", scored=scored, disagreed=disagreed)
    assert hold.may_resume(0.95, 300) is resumes


def test_it_counts_what_it_scores() -> None:
    hold = Hold(monitor="adwin")
    assert hold.disagreement == 0.0
    for agreed in (True, False, True, True):
        hold.score(agreed)
    assert hold.disagreement == 0.25
