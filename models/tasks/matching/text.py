"""Renders a call as one text, white space folded and roles as control characters; finds its clauses."""

import re
from collections.abc import Iterable
from typing import Protocol

SYSTEM, USER, ASSISTANT, OTHER = "\x11", "\x12", "\x13", "\x14"
MARKS = SYSTEM + USER + ASSISTANT + OTHER
HEAD, TAIL = "\x02", "\x03"  # an item that stands at the start, at the end
CUT = "\x15"  # where the middle of a very long text was left out
GAP = "\x00"  # between texts that are looked at together
RESERVED = MARKS + HEAD + TAIL + CUT + GAP

_ROLES = {"system": SYSTEM, "developer": SYSTEM, "user": USER, "assistant": ASSISTANT}
_NAMES = {SYSTEM: "system", USER: "user", ASSISTANT: "assistant", OTHER: "tool"}

# punctuation of the scripts that have their own
_STOPS = ".?!:;。？！：；।؟؛"
_COMMAS = ",，、،"
SENTENCE_EDGE = frozenset("\n" + _STOPS + '"“”' + MARKS + CUT)
WEAK_EDGE = frozenset(_COMMAS + "()[]{}")
DELIMITERS = SENTENCE_EDGE | WEAK_EDGE
BREAKS = "\n" + _STOPS + _COMMAS + '"“”()' + MARKS + CUT  # what ends a clause

CLAUSE = re.compile("[^{0}]*[{0}]+|[^{0}]+$".format(re.escape(BREAKS)))
_AROUND = ' \n.,;:?!"()-' + MARKS
WORD = re.compile(r"\w+")
ALNUM = re.compile(r"\w")
# what no normalised text holds: reserved characters, and all white space but blanks and line breaks
_ODD = RESERVED + "\t\r\x0b\x0c\x1c\x1d\x1e\x1f"
_ODD_WIDE = (
    _ODD + "\x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)
_BLANKS = re.compile("  +")
_SHORT = 200
_MARKED = re.compile(f"[{MARKS}]")


class HasContent(Protocol):
    """What rendering needs of a message."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...


def normalise(text: str) -> str:
    """Fold white space: a run becomes one blank, or one newline if it holds a line break.

    Case stays. Control characters that have a meaning here become blanks, so that no slot value can imitate a
    role.

    Parameters
    ----------
    text : str
        Any text of any length; the work is linear in it.

    Returns
    -------
    str
        The folded text; folding it again changes nothing.

    Examples
    --------
    >>> normalise("  Sort   this: \\r\\n\\n  a\\tb ")
    'Sort this:\\na b'
    """
    if len(text) < _SHORT and "\n" not in text and text.isprintable():  # nothing odd in it
        return (_BLANKS.sub(" ", text) if "  " in text else text).strip()
    # to look for a character is far cheaper than to split, and most texts are nearly clean
    for odd in filter(text.__contains__, _ODD if text.isascii() else _ODD_WIDE):
        text = text.replace(odd, "\n" if odd == "\r" else " ")
    if text.rfind("  ") >= 0:  # from the end two characters are found in a third of the time
        text = _BLANKS.sub(" ", text)
    if "\n" not in text:
        return text.strip()
    folded = "\n".join(filter(None, map(str.strip, text.split("\n"))))
    return text if folded == text else folded


def render(messages: Iterable[HasContent]) -> str:
    """One text for a whole conversation.

    A single user message is its own text; otherwise each message stands behind the mark of its role,
    so that system prompts, few-shot turns and chat history are text like any other.

    Examples
    --------
    >>> from collections import namedtuple
    >>> M = namedtuple("M", "role content")
    >>> render([M("user", "Hi  there")])
    'Hi there'
    >>> render([M("system", "Be brief."), M("user", "Hi")])
    '\\x11Be brief.\\x12Hi'
    """
    parts = [(m.role, m.content) for m in messages]
    if len(parts) == 1 and parts[0][0] == "user":
        return normalise(parts[0][1])
    return "".join([_ROLES.get(role, OTHER) + normalise(content) for role, content in parts])


def readable(text: str) -> str:
    """A rendered text with its roles in words.

    Examples
    --------
    >>> readable("\\x11Be brief.\\x12Hi")
    '[system] Be brief.\\n[user] Hi'
    """
    return _MARKED.sub(lambda m: f"\n[{_NAMES[m.group()]}] ", text).strip() if _MARKED.search(text) else text


def weight(text: str) -> float:
    """Constant words of a literal; one-letter words and numbers count a half.

    Examples
    --------
    >>> weight("Pick 1 of these:")
    3.5
    """
    words = WORD.findall(text)
    halves = len([w for w in words if len(w) == 1 or w.isdigit()])
    return len(words) - 0.5 * halves


def clauses(text: str) -> list[str]:
    """The pieces between punctuation, each with the punctuation that ends it."""
    return CLAUSE.findall(text)


def clause_key(clause: str) -> str:
    """A clause without the punctuation around it and without case: how slot values are remembered."""
    return clause.strip(_AROUND).lower()


def tail_of(run: str) -> str:
    """What follows the last letter or digit of a run."""
    i = len(run)
    while i and not run[i - 1].isalnum():
        i -= 1
    return run[i:]


def head_of(run: str) -> str:
    """What precedes the first letter or digit of a run."""
    i = 0
    while i < len(run) and not run[i].isalnum():
        i += 1
    return run[:i]
