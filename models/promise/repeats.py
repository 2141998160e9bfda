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
    """Inputs that wait for a second answer, as digests, with the first one.

    Each has one place that its digest gives it, and leaves it to the next that is given the same: the longer
    ago an input was asked, the less likely it is still there, whatever the answers were.

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

    waiting: dict[int, tuple[int, str]] = {}

    def answered(self, input: str, label: str, teacher: str, tolerance: float = 0.0) -> bool | None:
        """Learn an answer; whether it agrees with the one it makes a pair with, None where there is none."""
        if len(label) > _LONGEST:
            return None
        asked = _digest(f"{teacher}\n{same_input(input)}")
        before = self.waiting.get(asked % MOST)
        if before is not None and before[0] == asked:
            del self.waiting[asked % MOST]
            return same(before[1], label, tolerance)
        self.waiting[asked % MOST] = (asked, label)
        return None


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
