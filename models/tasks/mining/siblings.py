"""Joins templates that differ in one and the same word: four of them are one template with a slot there."""

from collections.abc import Iterator, Mapping

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import ALNUM, WORD
from jitr.models.tasks.mining.cluster import Cluster

_MOST_KEYS = 40_000
_MOST_WORDS = 40
_FAMILY = 3

Key = tuple[int, tuple[str, ...], str, str, tuple[str, ...]]


class Siblings:
    """A table from a template with one word left out to the templates that have it.

    Labels and languages make families of four and more; two or three that differ in a word ("positive",
    "negative") are templates of their own, unless the answers say that the word changes nothing.
    """

    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: dict[Key, list[int]] = {}

    @staticmethod
    def _keys(pattern: Pattern) -> list[Key]:
        runs = pattern.runs
        return [
            (len(runs), runs[:a], run[: m.start()], run[m.end() :], runs[a + 1 :])
            for a, run in enumerate(runs)
            for m in WORD.finditer(run)
        ]

    def family(self, pattern: Pattern, live: Mapping[int, Cluster]) -> tuple[Pattern, list[int]] | None:
        """The template with a slot that three known ones and this one share, and the three.

        Parameters
        ----------
        pattern : Pattern
            A new template.
        live : mapping
            The known ones by number.
        """
        if pattern.words > _MOST_WORDS:
            return None
        for key in self._keys(pattern):
            ids = [i for i in self.table.get(key, ()) if i in live][-7:]
            if len(ids) < _FAMILY:
                continue
            wide = _with_slot(key)
            if not (wide.prefix or wide.suffix or wide.inner) or wide.words < 3:
                continue
            if all(wide.matches(t) for i in ids for t in live[i].texts()[:3]):
                return wide, ids
        return None

    def twins(
        self, pattern: Pattern, id: int, live: Mapping[int, Cluster]
    ) -> Iterator[tuple[Pattern, Cluster]]:
        """Templates that differ from this one in one word, with the template that has a slot there."""
        if pattern.words > _MOST_WORDS:
            return
        for key in self._keys(pattern):
            for i in self.table.get(key, ()):
                if i == id or i not in live:
                    continue
                wide = _with_slot(key)
                if wide.words >= _FAMILY and all(wide.matches(t) for t in live[i].texts()[:3]):
                    yield wide, live[i]

    def note(self, pattern: Pattern, id: int, live: Mapping[int, Cluster]) -> None:
        """File a template under each of its words left out."""
        if pattern.words > _MOST_WORDS:
            return
        for key in self._keys(pattern):
            ids = [i for i in self.table.get(key, ()) if i in live][-7:]
            self.table[key] = [*ids, id]
        if len(self.table) > _MOST_KEYS:
            self.table.clear()


def _with_slot(key: Key) -> Pattern:
    _size, before, left, right, after = key
    runs = [*before, left, right, *after]
    prefix = runs[0] if before or ALNUM.search(left) else ""
    suffix = runs[-1] if after or ALNUM.search(right) else ""
    inner = tuple([r for r in runs[1:-1] if ALNUM.search(r)])
    return Pattern(prefix if ALNUM.search(prefix) else "", inner, suffix if ALNUM.search(suffix) else "")
