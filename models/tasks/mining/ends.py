"""Finds what many texts have in common at their start and at their end."""

from collections.abc import Sequence

from jitr.models.tasks.matching.text import ALNUM, CUT, MARKS, tail_of, weight
from jitr.models.tasks.mining.edges import STRONG, cut_left, cut_right, edge, left_edge, right_edge, trim

_FIRM = "\n:" + MARKS  # edges that close an instruction, and not a sentence of the slot value
_LINE = "\n" + MARKS
_STRAY = 3
_ENOUGH = 4
_SHORT = 16
_EXAMPLES = 2


def common_ends(texts: list[str]) -> tuple[str, str]:
    """The longest common prefix and suffix, cut at word edges."""
    prefix = common_start(texts).partition(CUT)[0]
    if prefix:
        prefix = cut_right(prefix, texts, [len(prefix)] * len(texts))
        prefix = _settle_prefix(prefix, texts) if ALNUM.search(prefix) else ""
    suffix = common_end(texts).rpartition(CUT)[2]
    if not suffix:
        return prefix, suffix
    sizes = [len(t) for t in texts]
    suffix = cut_left(suffix, texts, [n - len(suffix) for n in sizes])
    suffix = _settle_suffix(suffix, texts) if ALNUM.search(suffix) else ""
    if len(prefix) + len(suffix) > min(sizes):
        suffix = ""
    if len(suffix) < max(sizes):
        suffix = trim(suffix)
    return prefix, suffix


def common_start(texts: Sequence[str]) -> str:
    """The longest common prefix: that of the first and the last in order, found by halving."""
    first, last = min(texts), max(texts)
    low, high = 0, _SHORT
    most = min(len(first), len(last))
    while high < most and first[low:high] == last[low:high]:  # most end soon
        low, high = high, 4 * high
    high = min(high, most)
    while low < high:
        half = (low + high + 1) // 2
        if first[low:half] == last[low:half]:
            low = half
        else:
            high = half - 1
    return first[:low]


def common_end(texts: Sequence[str]) -> str:
    """The longest common suffix; most differ soon."""
    run = texts[0]
    for text in texts:
        if not text.endswith(run):
            low, high = 0, min(len(run), len(text))
            while low < high:
                half = (low + high + 1) // 2
                if text.endswith(run[len(run) - half :]):
                    low = half
                else:
                    high = half - 1
            run = run[len(run) - low :]
            if not run:
                break
    return run


def _settle_prefix(prefix: str, texts: list[str]) -> str:
    """Leave the first words of a slot value to it where all slot values happen to begin alike.

    A prefix that stops a few words behind the edge of a sentence is cut back to that edge.
    """
    if not prefix or right_edge(prefix, texts) == STRONG:
        return prefix
    at = max([prefix.rfind(c) for c in _FIRM]) + 1
    if at and weight(prefix[at:]) <= _STRAY and weight(prefix[:at]) >= _ENOUGH:
        return prefix[:at]
    return prefix


def slot_start(prefix: str) -> int:
    """Where the slot begins behind worked examples, else where the prefix ends.

    Two examples and more say what is asked: what follows the heading that opened each of them begins the next
    input where it is a few words in mid sentence, or where an example's input begins much alike. All else is
    an instruction, and stays.

    Examples
    --------
    >>> shown = "Input: a red hat\\nOutput: hat\\nInput: a new car\\nOutput: car\\n"
    >>> prefix = shown + "Input: a"
    >>> prefix[slot_start(prefix):]
    ' a'
    >>> all(slot_start(p) == len(p) for p in ("Input: a", shown + "Input: now in French:"))
    True
    """
    behind = prefix.find(":", prefix.rfind("\n") + 1) + 1
    shown = _examples(prefix)
    if len(shown) < _EXAMPLES:
        return len(prefix)
    more = prefix[behind:]
    return behind if _is_stray(more) or any(_begins_as(more, example) for example in shown) else len(prefix)


def shows_examples(prefix: str) -> bool:
    """Whether the last line of a prefix has the heading that opened two worked examples in it.

    Examples
    --------
    >>> shows_examples("In: red\\nOut: 1\\nIn: blue\\nOut: 2\\nIn:"), shows_examples("In: red\\nOut: 1\\nIn:")
    (True, False)
    >>> shows_examples("Rule: be brief.\\nRule: no lists.\\nRule: now")
    False
    """
    return len(_examples(prefix)) >= _EXAMPLES


def _is_stray(text: str) -> bool:
    """Whether a text is a few words that stop in mid sentence: the first of a slot value."""
    return weight(text) <= _STRAY and edge(tail_of(text)) < STRONG


def _examples(prefix: str) -> list[str]:
    """What follows the heading of the last line where it stood before, and another heading after it."""
    at = prefix.rfind("\n") + 1
    heading = prefix[at : prefix.find(":", at) + 1]
    if not heading or weight(heading) > _STRAY:
        return []
    _, *found = f"\n{prefix[:at]}".split(f"\n{heading}")
    return [example for example in found if _is_answered(example)]


def _begins_as(text: str, example: str) -> bool:
    """Whether most words of a text begin an example too, and only a few do not."""
    at = len(common_start((text, example)))
    if at < len(text):
        at = text.rfind(" ", 0, at) + 1
    return weight(text[at:]) <= min(_STRAY, weight(text[:at]) - 1)


def _is_answered(example: str) -> bool:
    """Whether a line behind the first one of an example has a heading."""
    _, *lines = example.split("\n")
    return any(":" in line and weight(line.partition(":")[0]) <= _STRAY for line in lines)


def _settle_suffix(suffix: str, texts: list[str]) -> str:
    """The same at the other end: the last words of a slot value stay with it."""
    if not suffix or left_edge(suffix, texts) == STRONG:
        return suffix
    places = [at for c in _LINE if (at := suffix.find(c)) >= 0]
    if places and weight(suffix[: min(places)]) <= _STRAY and weight(suffix[min(places) :]) >= 1:
        return suffix[min(places) :]
    return suffix
