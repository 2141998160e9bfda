"""Samples a task's answered calls, bounded in number and evenly over a log."""

from __future__ import annotations

from dataclasses import dataclass, replace

MOST = 2_000
MOST_CHARS = 3_000_000
# a surrogate's n-grams read no further
_LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Answered:
    """A call of a task: what was asked (its slots) and what the LLM answered, as it wrote it."""

    id: str
    time: float
    input: str
    answer: str


class Sample:
    """At most so many answered calls of a task, evenly over the log: where they are more, every second goes.

    Parameters
    ----------
    most : int
        Calls.
    most_chars : int
        Characters of their inputs in all.

    Examples
    --------
    >>> sample = Sample(most=4)
    >>> for i in range(11):
    ...     sample.add(Answered(str(i), float(i), "", ""))
    >>> [a.id for a in sample.held]
    ['0', '4', '8']
    """

    def __init__(self, most: int = MOST, most_chars: int = MOST_CHARS) -> None:
        self.held: list[Answered] = []
        self.most = most
        self.most_chars = most_chars
        self._chars = 0
        self._stride = 1
        self._seen = 0

    def add(self, answered: Answered) -> None:
        """Keep one, or not."""
        if self._seen % self._stride == 0:
            if len(answered.input) > _LONGEST:
                answered = replace(answered, input=answered.input[:_LONGEST])
            self.held.append(answered)
            self._chars += len(answered.input)
            self._thin()
        self._seen += 1

    def join(self, other: Sample) -> None:
        """Keep another's calls too, at the wider of the two strides."""
        while self._stride < other._stride:
            self._halve()
        held = other.held[:: self._stride // other._stride]
        self.held = sorted(self.held + held, key=lambda a: (a.time, a.id))
        self._chars = sum([len(a.input) for a in self.held])
        self._seen += other._seen
        self._thin()

    def _thin(self) -> None:
        while len(self.held) > 1 and (len(self.held) > self.most or self._chars > self.most_chars):
            self._halve()

    def _halve(self) -> None:
        self.held, self._stride = self.held[::2], 2 * self._stride
        self._chars = sum([len(a.input) for a in self.held])
