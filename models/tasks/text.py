"""The one text a call is seen as: white space folded, roles as control characters, words and clauses."""

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
_BREAKS = re.escape("\n" + _STOPS + _COMMAS + '"“”()' + MARKS + CUT)

CLAUSE = re.compile(f"[^{_BREAKS}]*[{_BREAKS}]+|[^{_BREAKS}]+$")
WORD = re.compile(r"\w+")
ALNUM = re.compile(r"\w")
_ODD_SPACE = re.compile(r"[\t\r\x0b\x0c\x1c-\x1f]")
_RESERVED = re.compile(f"[{re.escape(RESERVED)}]")
_MARKED = re.compile(f"[{MARKS}]")


class HasContent(Protocol):
    """What rendering needs of a message."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...


def normalise(text: str) -> str:
    """Fold white space: a run becomes one blank, or one newline if it holds a line break.

    Case stays. Control characters that have a meaning here become blanks, so that no payload can imitate a
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
    if (
        "\x00" in text
        or "\x02" in text
        or "\x03" in text
        or "\x11" in text
        or "\x12" in text
        or "\x13" in text
        or "\x14" in text
        or "\x15" in text
    ):
        text = _RESERVED.sub(" ", text)
    if text.isascii() and not ("\t" in text or "\r" in text or _ODD_SPACE.search(text)):
        # most texts are clean already: looking is several times cheaper than splitting
        while "  " in text:
            text = text.replace("  ", " ")
        if "\n" in text:
            if " \n" in text:
                text = text.replace(" \n", "\n")
            if "\n " in text:
                text = text.replace("\n ", "\n")
            while "\n\n" in text:
                text = text.replace("\n\n", "\n")
        return text.strip()
    if "\n" not in text and "\r" not in text:
        return " ".join(text.split())
    lines = (" ".join(line.split()) for line in text.replace("\r", "\n").split("\n"))
    return "\n".join([line for line in lines if line])


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


def as_payload(clause: str) -> str:
    """A clause without the punctuation around it and without case: how payload is remembered."""
    return clause.strip(' \n.,;:?!"()-' + MARKS).lower()


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
