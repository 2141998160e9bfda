"""For how long a copy of an event is known: by the last ids of its partition, across restarts too."""

from pathlib import Path

import pytest

from jitr.agents.runtime.dedup import SeenIds
from jitr.agents.runtime.durable import SEEN


@pytest.mark.parametrize(("later", "known"), [(SEEN - 1, True), (SEEN, False)])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_copy_is_known_within_the_window_and_counts_again_beyond_it(
    later: int, known: bool, restarted: bool
) -> None:
    seen = SeenIds(SEEN)
    assert seen.add("signed call")
    for n in range(later):
        seen.add(f"call {n}")
    if restarted:
        seen = SeenIds(SEEN, seen.save())
    assert seen.add("signed call") is not known


def test_the_security_page_states_the_window() -> None:
    page = (Path(__file__).parents[4] / "docs" / "security.md").read_text()
    assert f"within the last {SEEN:,} events of a partition; an older copy counts again" in page
