"""Counts how many prompts must share a draft before it may become a template."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import ASSISTANT, MARKS, USER, WORD, weight
from jitr.models.tasks.mining.asked import closed
from jitr.models.tasks.mining.draft import Draft, common_gaps
from jitr.models.tasks.mining.edges import NONE, STRONG, WEAK, edge, left_edge, right_edge
from jitr.models.tasks.mining.ends import common_ends
from jitr.models.tasks.mining.window import Entry

_NEVER = 1 << 30
_LONG_OPENING, _LONG_END = 4, 6
_MANY = 24
_CLOSED = 20


@dataclass(slots=True, frozen=True)
class Ends:
    """How the anchored runs of a draft stand to the sentence they are in."""

    prefix: bool
    suffix: bool


def aligned_ends(pattern: Pattern, texts: Sequence[str]) -> Ends:
    """Whether the prefix ends, and the suffix begins, at the edge of a sentence (or of a clause of four
    words).
    """
    right = right_edge(pattern.prefix, texts) if pattern.prefix else STRONG
    left = left_edge(pattern.suffix, texts) if pattern.suffix else STRONG
    return Ends(
        right == STRONG or (right == WEAK and weight(pattern.prefix) >= 4),
        left == STRONG or (left == WEAK and weight(pattern.suffix) >= 4),
    )


def terse(members: Sequence[Entry]) -> bool:
    """Whether the teacher answers these prompts in a few words: what is asked of it is closed."""
    return sum([e.answer is not None for e in members]) >= 0.9 * len(members)


def support_needed(draft: Draft, *, splitting: bool = False) -> int:
    """How many prompts must share a draft before it may become a template.

    The score of a draft is its number of distinct constant words (letters and digits count a half, text that
    is not aligned a half), +2 for each further distinct run (+1 if one word), -2 if there is neither prefix
    nor suffix. In a conversation only the last message counts: what stands before it is the same for all that
    an application asks.

    Returns
    -------
    int
        6 for a high score to 30 for one word; more than any group holds where the draft can be no template.
    """
    pattern = draft.pattern
    context, own = _last_message(pattern)
    if context is not None:
        support = _context_support(context, draft)
        return support if own.words == 0 else min(support, _own_support(own, draft, splitting))
    return _own_support(pattern, draft, splitting)


def _own_support(pattern: Pattern, draft: Draft, splitting: bool) -> int:
    """Support by the constant words of the message that asks."""
    runs = len(pattern.inner) + bool(pattern.prefix) + bool(pattern.suffix)
    if not runs:
        return _NEVER
    whole = draft.pattern
    ends = aligned_ends(whole, draft.texts) if USER in whole.prefix else _ends_of(pattern, whole, draft.texts)
    support = _support_by_words(pattern, runs, ends, splitting)
    if (
        support > _CLOSED
        and not (ends.prefix and ends.suffix)
        and pattern.words >= 2
        and closed(draft.members)
    ):
        return _CLOSED  # in mid sentence, but what is asked is closed
    return support


def _support_by_words(pattern: Pattern, runs: int, ends: Ends, splitting: bool) -> int:
    words = min(pattern.words, pattern.distinct_words)
    if not ends.prefix:
        words -= 0.5 * weight(pattern.prefix)
    if not ends.suffix:
        words -= 0.5 * weight(pattern.suffix)
    if runs == 1 and not (ends.prefix and ends.suffix):
        if pattern.words < 6:
            return _NEVER
        words = 2.5 if pattern.words >= 8 else 1.5
    elif not ends.suffix and not pattern.prefix:
        return _NEVER
    elif not ends.prefix and not ends.suffix and pattern.words < 5:
        # few words, all in mid sentence, but at both ends
        return 30 if pattern.words >= 3 and pattern.suffix else _NEVER
    open_end = not (pattern.prefix and pattern.suffix)
    if open_end and pattern.words < 6 and not _closes(pattern, ends):
        return _NEVER
    distinct = {run for run in pattern.runs if run}
    score = words + sum(sorted([2 if weight(run) >= 2 else 1 for run in distinct])[1:])
    if not pattern.prefix and not pattern.suffix:
        score -= 2
        if pattern.words < 3:
            return _NEVER
    for least, support in _SUPPORT:
        if score >= least:
            return 5 if splitting and support == 6 else support
    # a lone word is a label ("Summary:") or it is the end of a file name
    lone = pattern.words < 2 and not any(edge(run) == STRONG for run in pattern.runs)
    return _NEVER if lone or pattern.words < 1 else 30


def _closes(pattern: Pattern, ends: Ends) -> bool:
    """Whether any run begins or ends where a sentence does; "Give me a ... list of ..." never does."""
    if (pattern.prefix and ends.prefix) or (pattern.suffix and ends.suffix):
        return True
    return any(edge(run) for run in pattern.runs)


_SUPPORT = ((7, 6), (5, 8), (4, 10), (3, 14), (2, 20))


def _last_message(pattern: Pattern) -> tuple[Pattern | None, Pattern]:
    """A conversation's template: what leads up to its last user message, and what is constant in that."""
    runs = pattern.runs
    for i in range(len(runs) - 1, -1, -1):
        at = runs[i].rfind(USER)
        if at >= 0:
            lead = (*runs[:i], runs[i][:at])
            # the message begins where the run goes on: what follows the mark is anchored like a prefix
            context = Pattern(lead[0], tuple([r for r in lead[1:] if r]), "")
            if i == len(runs) - 1:
                return context, Pattern(runs[i][at + 1 :].strip(MARKS), (), "")
            return context, Pattern(runs[i][at + 1 :], runs[i + 1 : -1], runs[-1].strip(MARKS))
    return None, pattern


def _ends_of(own: Pattern, whole: Pattern, texts: Sequence[str]) -> Ends:
    """Alignment where the last message's first run may be an inner one of the whole text."""
    if own is whole:
        return aligned_ends(whole, texts)
    return Ends(True, aligned_ends(Pattern("", (), whole.suffix), texts).suffix)


def _context_support(context: Pattern, draft: Draft) -> int:
    """Support of a system prompt (or of few-shot turns) whose whole user message is a slot value.

    "You are a helpful assistant." opens every kind of request: words alone do not make a task of it.
    Answers of a few
    words do, and so do example turns or a long instruction.
    """
    words = context.distinct_words
    if terse(draft.members):
        return 8 if words >= 4 else 20 if words >= 2 else _NEVER
    if sum([run.count(ASSISTANT) for run in context.runs]) >= 2 and words >= 8:
        return 10
    return 20 if words >= 12 else _NEVER


def opens_or_ends(members: Sequence[Entry]) -> bool:
    """Whether all that prompts share is a few words in mid sentence at one end ("What is the"): no need for a
    draft.
    """
    texts = [e.text for e in members]
    prefix, suffix = common_ends(texts)
    if (prefix and suffix) or USER in prefix:
        return False
    words = weight(prefix or suffix)
    if words >= _LONG_END:
        return False
    found = right_edge(prefix, texts) if prefix else left_edge(suffix, texts)
    if found == STRONG or (found == WEAK and words >= _LONG_OPENING):
        return False
    # of few prompts not even runs in the middle would be accepted
    if found != NONE or words >= _LONG_OPENING or len(texts) >= _MANY:
        starts, stops = [len(prefix)] * len(texts), [len(t) - len(suffix) for t in texts]
        if words >= 1 and prefix and common_gaps(texts, starts, stops):
            return False
    return not closed(members)


def opens_only(pattern: Pattern) -> bool:
    """Whether all that is constant stands before the last user message, as in "You are a helpful
    assistant".
    """
    context, own = _last_message(pattern)
    return context is not None and own.words == 0


def vocabulary(pattern: Pattern) -> Counter[str]:
    """The words of a template with their counts."""
    return Counter(WORD.findall(" ".join(pattern.runs)))
