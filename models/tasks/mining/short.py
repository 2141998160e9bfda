"""Families of short prompts: few constant words in mid sentence, and next to nothing else.

"Define ...", "Capital of ...?", "... or not?": the constant words alone say little, as "What is the" begins
anything. A task shows in what is left of the prompt: it is a word or three in (nearly) all prompts that
begin or end so, while of ad-hoc questions with one opening a good part goes on for long.
"""

from collections.abc import Collection, Iterable, Sequence

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import ALNUM, clauses
from jitr.models.tasks.mining.draft import tolerance

SUPPORT = 30
_WORDS = 3  # of what fills a slot
_SPARE = 1
_SPREAD, _LONGEST = 6, 16
_OTHERS = 5  # longer prompts that may come together before the rest is not looked at


def short_family(pattern: Pattern, group: Sequence[str], texts: Iterable[str]) -> Pattern | None:
    """The template with a bound on its prompts' words where they are such a family, else None.

    Parameters
    ----------
    pattern : Pattern
        What the prompts share.
    group : sequence of str
        The newest prompts that begin, or end, so: they are looked at first, being few.
    texts : iterable of str
        All unexplained prompts, newest first: of those that begin and end so nearly all must be short.

    Examples
    --------
    >>> asked = [f"Define {word}" for word in "ant bee cat cow dog elk fox gnu hen jay".split()] * 4
    >>> found = short_family(Pattern("Define", (), ""), asked, asked)
    >>> found.prefix, found.most_words
    ('Define ', 5)
    >>> longer = ["Define what the law says of dogs", "Define a bee, and what becomes of it in winter"] * 4
    >>> short_family(Pattern("Define", (), ""), asked, asked + longer) is None
    True
    """
    if pattern.words < 1 or sum([_fits(pattern, t) for t in group]) < tolerance(len(group)):
        return None
    at = len(pattern.prefix)
    words = pattern.prefix[-1:].isalnum()
    alike: list[str] = []
    others = 0
    for text in texts:
        # "Define" does not begin "Defined"
        if text.startswith(pattern.prefix) and text.endswith(pattern.suffix):
            if words and text[at : at + 1].isalnum():
                continue
            alike.append(text)
            others += not _fits(pattern, text)
            if others > _OTHERS + len(alike) - tolerance(len(alike)):
                return None
    if len(alike) - others < max(SUPPORT, tolerance(len(alike))):
        return None
    if words and all(t[at : at + 1] == " " for t in alike):
        pattern = Pattern(f"{pattern.prefix} ", pattern.inner, pattern.suffix)
    bound = sum([len(run.split()) for run in pattern.runs]) + (len(pattern.inner) + 1) * (_WORDS + _SPARE)
    return pattern.within(bound)


def may_be_short(texts: Collection[str]) -> bool:
    """Whether prompts may be such a family, or become one: few words, and about as many in nearly all."""
    counts = sorted([t.count(" ") for t in texts])
    return counts[tolerance(len(counts)) - 1] <= min(counts[0] + _SPREAD, _LONGEST)


def _fits(pattern: Pattern, text: str) -> bool:
    """Whether a text has the template, and next to nothing in its slots."""
    return pattern.matches(text) and _is_short(pattern.slots(text))


def _is_short(slots: Sequence[str]) -> bool:
    return any(ALNUM.search(s) for s in slots) and all(
        len(s.split()) <= _WORDS and "\n" not in s and len(clauses(s.strip())) <= 1 for s in slots
    )
