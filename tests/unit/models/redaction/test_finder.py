"""Short texts in which nothing was found are not looked at again, and their memory is bounded."""

import pytest

from jitr.models.redaction import finder as module
from jitr.models.redaction.finder import Finder
from jitr.models.redaction.pattern import Rule


@pytest.mark.parametrize(("length", "looks"), [(200, 1), (201, 2)])
def test_a_short_text_is_looked_at_once(length: int, looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    finder, found = Finder([Rule("staff", "E[0-9]{6}")]), []
    find = Finder.find
    monkeypatch.setattr(Finder, "find", lambda self, text: found.append(text) or find(self, text))
    for _ in range(2):
        assert finder.redact("a" * length) == "a" * length
    assert len(found) == looks


def test_what_is_found_is_found_again_and_the_memory_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CLEAN", 3)
    finder = Finder([Rule("staff", "E[0-9]{6}")])
    assert [finder.redact("of E123456") for _ in range(2)] == ["of [staff]"] * 2
    for n in range(10):
        finder.redact(f"text {n}")
        assert len(finder._clean) <= 3
