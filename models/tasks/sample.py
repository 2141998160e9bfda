"""A bounded sample of a task's answered calls, evenly over a log."""

from __future__ import annotations

from dataclasses import dataclass

MOST = 2_000


@dataclass(frozen=True, slots=True)
class Answered:
    """A call of a task: what was asked (its slots) and what the LLM answered, as it wrote it."""

    id: str
    time: float
    input: str
    answer: str


class Sample:
    """At most so many answered calls of a task, evenly over the log: where they are more, every second goes.

    Examples
    --------
    >>> sample = Sample(most=4)
    >>> for i in range(11):
    ...     sample.add(Answered(str(i), float(i), "", ""))
    >>> [a.id for a in sample.held]
    ['0', '4', '8']
    """

    def __init__(self, most: int = MOST) -> None:
        self.held: list[Answered] = []
        self.most = most
        self._stride = 1
        self._seen = 0

    def add(self, answered: Answered) -> None:
        """Keep one, or not."""
        if self._seen % self._stride == 0:
            if len(self.held) == self.most:
                self.held = self.held[::2]
                self._stride *= 2
            if self._seen % self._stride == 0:
                self.held.append(answered)
        self._seen += 1

    def join(self, other: Sample) -> None:
        """Keep another's calls too, at the wider of the two strides."""
        while self._stride < other._stride:
            self.held, self._stride = self.held[::2], 2 * self._stride
        held = other.held[:: self._stride // other._stride]
        self.held = sorted(self.held + held, key=lambda a: (a.time, a.id))
        self._seen += other._seen
        while len(self.held) > self.most:
            self.held, self._stride = self.held[::2], 2 * self._stride
