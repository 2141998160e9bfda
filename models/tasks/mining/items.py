"""Extracts the features that a prompt is mined by: its clauses, and the word runs at its two ends."""

from itertools import accumulate

from jitr.models.tasks.matching.text import ALNUM, CUT, DELIMITERS, HEAD, MARKS, TAIL, clauses

MOST_CLAUSES = 48
LONGEST_CLAUSE = 300
LONGEST_TEXT = 8000
_RUNS = (2, 3, 5, 8)
_MOST_WORDS = max(_RUNS)
_SHORT = 5
_ENDS = HEAD + TAIL


def shorten(text: str) -> str:
    """Both ends of a very long text, the cut marked so that no literal runs across it."""
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    return text[:half] + CUT + text[-half:]


def is_word(item: str) -> bool:
    """Whether an item is one word at the start or the end, in mid sentence: it begins or ends anything.

    Examples
    --------
    >>> is_word("\\x02Define"), is_word("\\x02Define:"), is_word("\\x02Define it"), is_word("Define")
    (True, False, False, False)
    """
    return item[0] in _ENDS and item[-1] not in DELIMITERS and " " not in item


def items_of(text: str) -> tuple[str, ...]:
    """The items of a normalised text, ordered and unique.

    Clauses between punctuation (from both ends where there are many), the first and the last clause marked
    as such,
    and the runs of 2, 3, 5 and 8 words at the start and the end of the text; of a text of few words also the
    first and the last word. In a conversation the start is that of the last message: what stands before it is
    the same for everything an application sends.

    Parameters
    ----------
    text : str
        A normalised text, shortened by `shorten`.

    Examples
    --------
    >>> items_of("Sort this: pears.")
    ('Sort this:', 'pears.', '\\x02Sort this:', '\\x03pears.', '\\x02Sort', '\\x03this: pears.')
    """
    found = clauses(text)
    if len(found) > MOST_CLAUSES:
        found = found[: MOST_CLAUSES // 2] + found[-(MOST_CLAUSES // 2) :]
    out: dict[str, None] = {}
    first = last = ""
    for clause in found:
        clause = clause.strip(_BLANK)
        # to see a letter at the start is cheaper than to search for one
        if clause and (clause[0].isalnum() or ALNUM.search(clause)):
            if not first:
                first = clause
            last = clause
            if 2 <= len(clause) <= LONGEST_CLAUSE:
                out[clause] = None
    if first:
        out[HEAD + first[:LONGEST_CLAUSE]] = None
        out[TAIL + last[-LONGEST_CLAUSE:]] = None
    start = max([text.rfind(mark) for mark in MARKS]) + 1 if text[:1] in MARKS else 0
    body = text[start:] if start else text
    # only the ends are split, and once: a text without blanks must not be copied again and again
    left, right = HEAD + body[:LONGEST_CLAUSE], body[-LONGEST_CLAUSE:]
    opening = list(accumulate(map(len, left.split(None, _MOST_WORDS))))
    ending = list(accumulate(map(len, reversed(right.rsplit(None, _MOST_WORDS)))))
    if 0 < body.count(" ") < _SHORT:
        out[left[: opening[0]]] = None
        out[TAIL + right[-ending[0] :]] = None
    for k in _RUNS:
        if len(opening) <= k:
            break
        out[left[: opening[k - 1] + k - 1]] = None  # one blank stands between two words
        if len(ending) <= k:
            break
        out[TAIL + right[1 - k - ending[k - 1] :]] = None
    return tuple(out)


_BLANK = " \n" + MARKS + CUT
