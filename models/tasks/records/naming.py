"""Makes a short name for a task from the words of its template."""

import re

from jitr.models.tasks.matching.text import MARKS

_WORD = re.compile(r"[^\W_]+")
_PLAIN = frozenset(
    """
    a an the and or of to in on for with as is are be you your i it its this that these those by from at into
    below above following given please one only just answer respond reply output input text return assistant
    helpful user system expert will not do does has have was were which what who how can should must any all
    each word words s t re ve ll task our we us my me want would could given expected now them if
    """.split()  # noqa: SIM905
)
_ASKING = frozenset(
    """
    analyse analyze categorise categorize classify compare convert decide detect determine explain
    extract filter generate identify judge label moderate name paraphrase predict rank rate rewrite route
    score sort summarise summarize tag translate write
    """.split()  # noqa: SIM905
)
_LOOKED_AT = 2000


def name_of(template: str, taken: frozenset[str] = frozenset()) -> str:
    """Up to four telling words of a template, joined by dashes; a number where the name is taken.

    They begin at the first word that says what is to be done, where there is one.

    Parameters
    ----------
    template : str
        The constant text of a task.
    taken : frozenset of str
        Names in use.

    Examples
    --------
    >>> name_of("Classify the sentiment of the following movie review as positive or negative:")
    'classify-sentiment-movie-review'
    >>> name_of("In this task you are given a post. Your task is to summarize the post in one sentence.")
    'summarize-post-sentence'
    >>> name_of("Sort:", frozenset({"sort"}))
    'sort-2'
    """
    words: dict[str, None] = {}
    found = [word.casefold() for word in _WORD.findall(template.translate(_NO_MARKS)[:_LOOKED_AT])]
    start = next((i for i, word in enumerate(found) if word in _ASKING), 0)
    for word in found[start:]:
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
