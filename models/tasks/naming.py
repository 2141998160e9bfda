"""A short name for a task, read off its skeleton."""

import re

from jitr.models.tasks.text import MARKS

_WORD = re.compile(r"[^\W_]+")
_PLAIN = frozenset(
    """
    a an the and or of to in on for with as is are be you your i it its this that these those by from at into
    below above following given please one only just answer respond reply output input text return assistant
    helpful user system expert will not do does has have was were which what who how can should must any all
    each word words s t
    """.split()  # noqa: SIM905
)


def name_of(skeleton: str, taken: frozenset[str] = frozenset()) -> str:
    """Up to four telling words of a skeleton, joined by dashes; a number where the name is taken.

    Parameters
    ----------
    skeleton : str
        The constant text of a task.
    taken : frozenset of str
        Names in use.

    Examples
    --------
    >>> name_of("Classify the sentiment of the following movie review as positive or negative:")
    'classify-sentiment-movie-review'
    >>> name_of("Sort:", frozenset({"sort"}))
    'sort-2'
    """
    words: dict[str, None] = {}
    for word in _WORD.findall(skeleton.translate(_NO_MARKS)[:2000]):
        word = word.casefold()
        if word not in _PLAIN and not word.isdigit() and len(word) > 1:
            words[word] = None
        if len(words) == 4:
            break
    name = "-".join(words)[:48] or "task"
    if name not in taken:
        return name
    n = 2
    while f"{name}-{n}" in taken:
        n += 1
    return f"{name}-{n}"


_NO_MARKS = {ord(mark): " " for mark in MARKS}
