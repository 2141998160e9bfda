"""Pairs of independent answers of the teacher to one input, in bounded memory.

The inputs come again by themselves on the stream; the teacher is asked nothing for this. docs/guarantee.md,
"Self-agreement".
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from jitr.models.answers.agreement import same
from jitr.models.datasets.examples import same_input

MOST = 1024
# characters of an answer; a longer one is none of a closed set, and is not kept
_LONGEST = 500


class Repeats(msgspec.Struct):
    """Remembers inputs that wait for a second answer, as digests, with the first answer.

    The digest of an input says in which of `MOST` places it is kept; the next input with the same place
    replaces it. So which inputs are forgotten depends on how long ago they were asked, not on their answers.

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
        """Learn an answer; return whether it agrees with the first of its pair, None if it is the first."""
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
