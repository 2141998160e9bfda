"""A rule of redaction: what one kind of secret looks like, and the check that tells it from a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# a letter or digit of any script: what is not in Latin-1 stands as a feminine ordinal, see `seen`
W = r"\w\xaa\xb5\xba\xc0-\xd6\xd8-\xf6\xf8-\xff"

Check = Callable[[bytes, int, int], tuple[int, int] | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is looked for.

    Attributes
    ----------
    kind : str
        The word in brackets that replaces what is found.
    regex : str
        RE2 syntax over Latin-1; its first group is what is replaced, or all of it where it has none.
    check : callable, optional
        From the text and the place of the group to the place that is replaced, or None for a false alarm.
    broken : bool
        Whether it is looked for across line breaks too, as parts of a message are joined by them.
    sign : str
        What stands in all that it finds, in RE2 syntax: looked for in its place where all patterns are looked
        for at once. A pattern that begins with any letter gives one, else each new word costs that pass a
        state of its automaton.
    """

    kind: str
    regex: str
    check: Check | None = None
    broken: bool = False
    sign: str = ""
