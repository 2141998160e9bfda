"""Inputs that the teacher is asked again: pairs of independent answers, in bounded memory.

Nothing is asked for this: it is what comes by itself on the stream.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from jitr.models.datasets.examples import same_input
from jitr.models.tasks.agreement import same

MOST = 1024
# what is longer than this is no answer out of a closed set, and is not kept
_LONGEST = 500


class Repeats(msgspec.Struct):
    """The last inputs that wait for a second answer, as digests, with the first one; the oldest come first.

    Every answer is in one pair at most: an input that has been answered twice waits for two more. So the
    pairs are independent, which a test over them needs. Answers of two models are no pair.

    Examples
    --------
    >>> repeats = Repeats()
    >>> [repeats.answered("where is my card?", label, "gpt") for label in ("card", "card", "fees", "card")]
    [None, True, None, False]
    >>> repeats.answered("where is my  card?", "card", "gpt-2"), len(repeats.waiting)
    (None, 1)
    """

    waiting: dict[int, str] = {}

    def answered(self, input: str, label: str, teacher: str, tolerance: float = 0.0) -> bool | None:
        """Learn an answer; whether it agrees with the one it makes a pair with, None where there is none."""
        if len(label) > _LONGEST:
            return None
        asked = _digest(f"{teacher}\n{same_input(input)}")
        before = self.waiting.pop(asked, None)
        if before is not None:
            return same(before, label, tolerance)
        self.waiting[asked] = label
        if len(self.waiting) > MOST:
            del self.waiting[next(iter(self.waiting))]
        return None


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
