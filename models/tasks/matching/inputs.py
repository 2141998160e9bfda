"""What varies in a call of a task, and what a surrogate reads of it: the same for router, agents and scan.

A task may have several templates, of which two can match one text. What a surrogate reads when it serves must
be what it read in training, so that all take the same one.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import readable
from jitr.schemas.tasks import Template

_SEPARATOR = "\n"


@lru_cache(maxsize=4096)
def patterns_of(templates: tuple[Template, ...]) -> tuple[Pattern, ...]:
    """The templates of a task's record, compiled, in the order in which they are tried.

    Most constant text comes first; their literals decide ties.
    """
    patterns = [Pattern.of(template) for template in templates]
    return tuple(sorted(patterns, key=lambda pattern: (-pattern.size, pattern.key)))


def slots_in(text: str, patterns: Iterable[Pattern]) -> tuple[str, ...]:
    """What stands in the slots of the first pattern that matches; all of the text where none does.

    Parameters
    ----------
    text : str
        As `signature.text_of` reads a call.
    patterns : iterable of Pattern
        As `patterns_of` orders them.

    Examples
    --------
    >>> patterns = patterns_of((Template(prefix="Sort:"), Template(prefix="Sort:", inner=("Text:",))))
    >>> [slots_in(text, patterns) for text in ("Sort: mail Text: hello", "Sort: mail", "hi")]
    [(' mail ', ' hello'), (' mail',), ('hi',)]
    """
    for pattern in patterns:
        if pattern.matches(text):
            return tuple(pattern.slots(text))
    return (text,)


def input_of(slots: Sequence[str]) -> str:
    """The text a surrogate reads: the filled slots in order, one a line.

    Examples
    --------
    >>> input_of((" great film ", "", "4 stars"))
    'great film\\n4 stars'
    """
    if len(slots) == 1:
        return readable(slots[0].strip())
    return readable(_SEPARATOR.join([s for s in [slot.strip() for slot in slots] if s]))
