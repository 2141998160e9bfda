"""Grades how a run of constant text begins and ends: at a sentence's edge, at a comma, or in mid sentence."""

import re
from collections.abc import Sequence

from jitr.models.tasks.matching.text import CUT, DELIMITERS, MARKS, SENTENCE_EDGE, head_of, tail_of, weight

STRONG, WEAK, NONE = 2, 1, 0
_LEAD = re.compile(r"[\s.?!,;。？！，；।]*[.?!,;。？！，；।]")
_MOST = 0.8


def edge(text: str) -> int:
    """Strength of a boundary: 2 line break, colon, quote, sentence end, role; 1 comma or bracket; 0 none."""
    if not SENTENCE_EDGE.isdisjoint(text):
        return STRONG
    return NONE if DELIMITERS.isdisjoint(text) else WEAK


def right_edge(run: str, texts: Sequence[str]) -> int:
    """How a prefix ends, looking also at what follows it in the texts."""
    found = edge(tail_of(run))
    if found < STRONG:
        at = len(run)
        follows = [t[at : at + 2] for t in texts]
        # a run that goes as far as a text was kept ends there for no reason of its own
        if CUT in "".join(follows) or sum([f[:1] in _OPENERS for f in follows]) > _MOST * len(texts):
            return STRONG
    return found


def left_edge(run: str, texts: Sequence[str]) -> int:
    """How a suffix begins, looking also at what precedes it in the texts."""
    found = edge(head_of(run))
    if found < STRONG and (
        (weight(run) >= 3 and run.lstrip()[:1].isupper()) or _after_sentences(len(run), texts)
    ):
        return STRONG
    return found


def _after_sentences(size: int, texts: Sequence[str]) -> bool:
    """Whether nearly all texts, without so many characters at their end, end where a sentence does."""
    spare = len(texts) - int(_MOST * len(texts)) - 1
    for text in texts:
        stop = len(text) - size
        before = text[max(0, stop - 8) : stop]  # only the end of what precedes decides
        if before and edge(tail_of(before)) < STRONG:
            spare -= 1
            if spare < 0:
                return False
    return True


def cut_right(run: str, texts: Sequence[str], ends: Sequence[int]) -> str:
    """Shorten a run that ends inside a word of some text; `ends` is where it ends in each."""
    keep = len(run)
    if run[-1:].isalnum():
        for text, end in zip(texts, ends, strict=True):
            if text[end : end + 1].isalnum():
                while keep and run[keep - 1].isalnum():
                    keep -= 1
                break
    return run[:keep]


def cut_left(run: str, texts: Sequence[str], starts: Sequence[int]) -> str:
    """Shorten a run that begins inside a word of some text; `starts` is where it begins in each."""
    skip = 0
    if run[:1].isalnum():
        for text, start in zip(texts, starts, strict=True):
            if start and text[start - 1].isalnum():
                while skip < len(run) and run[skip].isalnum():
                    skip += 1
                break
    return run[skip:]


def trim(run: str) -> str:
    """Sentence punctuation at the left edge of a run belongs to the slot value before it.

    Examples
    --------
    >>> trim(". Answer:")
    ' Answer:'
    """
    found = _LEAD.match(run)
    if found:
        run = run[found.end() :]
    head = head_of(run)
    breaks = [head.index(c) for c in _LINE if c in head]
    return run[min(breaks) :] if breaks else run


_OPENERS = frozenset(["\n", '"', "“", *MARKS])
_LINE = "\n" + MARKS
