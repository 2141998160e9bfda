"""Lets a template take over another where it says all that matters of it."""

from collections import Counter
from collections.abc import Iterable, Sequence

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import ALNUM, clauses, tail_of, weight
from jitr.models.tasks.mining.cluster import Cluster
from jitr.models.tasks.mining.edges import STRONG, left_edge, right_edge


def covered(pattern: Pattern, others: Iterable[Cluster]) -> list[Cluster]:
    """Those of some templates that are longer than a pattern and whose first member it matches; none whose
    texts may have more words than it allows.

    They are few: only these are worth to be asked whether the pattern `absorbs` them.
    """
    size, prefix, suffix = pattern.size, pattern.prefix, pattern.suffix
    found = []
    for other in others:
        if other.pattern.size > size and other.members and pattern.is_as_wide(other.pattern):
            text = other.members[0].text
            if text.startswith(prefix) and text.endswith(suffix) and pattern.matches(text):
                found.append(other)
    return found


def absorbs(pattern: Pattern, texts: Sequence[str], n: int, other: Cluster) -> bool:
    """Whether `pattern` says all that matters of an older, longer template.

    Parameters
    ----------
    pattern : Pattern
        The more general template.
    texts : sequence of str
        Texts it was read from.
    n : int
        How many calls it has had.
    other : Cluster
        The template that may be taken over.
    """
    if pattern.size >= other.pattern.size or not other.members:
        return False
    # the members seen may all be short, and longer calls would lose their template
    if not pattern.is_as_wide(other.pattern):
        return False
    theirs = other.texts()
    if not all(pattern.matches(t) for t in theirs):
        return False
    rest = [t for t in texts if not other.pattern.matches(t)]
    if _repeated_value(pattern, theirs, rest, other.n, n + len(texts)):
        return True
    return _adds_little(pattern, other.pattern, theirs, rest)


def _repeated_value(pattern: Pattern, theirs: list[str], rest: list[str], their_n: int, n: int) -> bool:
    """A slot that is one and the same text in all of theirs and varies elsewhere: a frequent value, not a
    template.
    """
    if len(rest) < 4:
        return False
    held = [pattern.slots(t) for t in theirs]
    others = [pattern.slots(t) for t in rest]
    last = len(pattern.inner)
    for j in range(last + 1):
        if len({slots[j] for slots in held}) != 1 or not ALNUM.search(held[0][j]):
            continue
        top = Counter([slots[j].strip() for slots in others]).most_common(2)
        if sum([c for _, c in top]) >= 0.6 * len(others):
            continue
        closed = 0 < j < last or (j == 0 and pattern.prefix) or (j == last and pattern.suffix)
        if closed or their_n < 0.3 * n:
            return True
    return False


def _adds_little(pattern: Pattern, other: Pattern, theirs: list[str], rest: list[str]) -> bool:
    """Only anchored text that stops in mid sentence, inner text under three words, or text that is
    optional.
    """

    def optional(text: str) -> bool:
        longest = max(clauses(text.strip()) or [text], key=len).strip()
        return len(rest) >= 4 and sum([longest in t for t in rest]) > 0.1 * len(rest)

    if other.prefix != pattern.prefix:
        if not other.prefix.startswith(pattern.prefix):
            return False
        more = other.prefix[len(pattern.prefix) :]
        said = weight(more)
        if not optional(more) and (
            said > 5
            or (
                said >= 1 and (said >= 3 or not pattern.prefix) and right_edge(other.prefix, theirs) == STRONG
            )
        ):
            return False
    if other.suffix != pattern.suffix:
        if not other.suffix.endswith(pattern.suffix):
            return False
        more = other.suffix[: len(other.suffix) - len(pattern.suffix)]
        said = weight(more)
        if not optional(more) and (
            said > 5
            or (said >= 1 and (said >= 3 or not pattern.suffix) and left_edge(other.suffix, theirs) == STRONG)
        ):
            return False
    known = (*pattern.inner, other.prefix, other.suffix)
    for run in other.inner:
        if not any(q in run or run in q for q in known) and (
            (weight(run) >= 3 or ":" in tail_of(run)) and not optional(run)
        ):
            return False
    return True
