"""A small notation for sentences with choices, holes and cues.

`[a|b|c]` is a choice, `<name>` a hole filled by the caller, and `[*a|b]` a choice whose alternatives carry
the meaning of the template: its cues. Choices nest; an empty alternative is allowed.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

Fill = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Hole:
    """A place that the caller fills."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several sequences; `cue` says that it carries meaning."""

    options: tuple["Sequence_", ...]
    cue: bool


Sequence_ = tuple["str | Hole | Choice", ...]


def expand(template: str, rng: random.Random, fill: Fill) -> str:
    """Write out one sentence of a template.

    Parameters
    ----------
    template : str
        In the notation of this module.
    rng : random.Random
        Makes the choices.
    fill : callable
        Gives the text of a hole from its name.

    Examples
    --------
    >>> expand("I [*like|love] <thing>", random.Random(1), str.upper)
    'I like THING'
    """
    return _write(parse(template), rng, fill)


def cues(template: str) -> Iterator[str]:
    """Every phrase of a template that carries meaning.

    Examples
    --------
    >>> list(cues("I [*really [like|love]|adore] <thing>"))
    ['really like', 'really love', 'adore']
    """
    yield from _cues(parse(template))


@lru_cache(maxsize=8192)
def parse(template: str) -> Sequence_:
    """Read a template; a pure function, so its results are kept.

    Raises
    ------
    ValueError
        A bracket is not closed, or one too many is.
    """
    stack: list[list[list[str | Hole | Choice]]] = [[[]]]
    starred: list[bool] = []
    for mark in re.findall(r"\[\*|\[|\]|\||<\w+>|[^\[\]|<]+|<", template):
        if mark in ("[", "[*"):
            stack.append([[]])
            starred.append(mark == "[*")
        elif mark == "]":
            if not starred:
                raise ValueError(f"template {template!r} closes a bracket that it did not open")
            options = tuple(tuple(option) for option in stack.pop())
            stack[-1][-1].append(Choice(options, starred.pop()))
        elif mark == "|" and starred:
            stack[-1].append([])
        elif len(mark) > 2 and mark[0] == "<":
            stack[-1][-1].append(Hole(mark[1:-1]))
        else:
            stack[-1][-1].append(mark)
    if starred:
        raise ValueError(f"template {template!r} leaves {len(starred)} bracket(s) open")
    return tuple(stack[0][0])


def _write(nodes: Sequence_, rng: random.Random, fill: Fill) -> str:
    out = []
    for node in nodes:
        if isinstance(node, str):
            out.append(node)
        elif isinstance(node, Hole):
            out.append(fill(node.name))
        else:
            out.append(_write(rng.choice(node.options), rng, fill))
    return "".join(out)


def _cues(nodes: Sequence_) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Choice):
            for option in node.options:
                if node.cue:
                    yield from (text for text in _spellings(option) if text)
                else:
                    yield from _cues(option)


def _spellings(nodes: Sequence_) -> list[str]:
    parts: list[list[str]] = []
    for node in nodes:
        if isinstance(node, Choice):
            parts.append([text for option in node.options for text in _spellings(option)])
        else:
            parts.append([node if isinstance(node, str) else ""])
    return [" ".join("".join(words).split()) for words in product(*parts)]
