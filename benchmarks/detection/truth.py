"""Which templates are one in truth, and which have no constant words; the finder never sees this."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"\w+|[^\w\s]|\n+")
_WORD = re.compile(r"[^\W\d]{2,}")
_FUNCTION = frozenset(
    "the of to in a and is for that on as with it was by be at from an or this are".split()  # noqa: SIM905
)
_NEARLY_ALL = 0.97
_LOOKED_AT = 200
FEWEST_ROWS = 60

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Classes:
    """The truth of a set of templates.

    Parameters
    ----------
    of : dict
        Template to class: the first template with the same constant words.
    constant, rare : set of str
        Classes without constant words, and those with few rows; both are shown apart.
    """

    of: dict[str, str]
    empty: set[str]
    rare: set[str]

    @property
    def counted(self) -> set[str]:
        """The classes that can be found."""
        return set(self.of.values()) - self.empty - self.rare


def constant_grams(prompts: Sequence[str], n: int) -> frozenset[Gram]:
    """Runs of n tokens (with the ends) that nearly all prompts of a template hold."""
    prompts = prompts[:_LOOKED_AT]
    counts: Counter[Gram] = Counter()
    for prompt in prompts:
        folded = re.sub(r"[ \t\r]*\n\s*", "\n", prompt.strip())
        tokens = ["^", *_TOKEN.findall(folded), "$"]
        counts.update({tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)})
    return frozenset([gram for gram, k in counts.items() if k >= _NEARLY_ALL * len(prompts)])


def classes_of(templates: Mapping[str, Sequence[str]], fewest: int = FEWEST_ROWS) -> Classes:
    """Merge templates whose constant words are the same.

    Examples
    --------
    >>> pets = ["cat", "dog", "cow"]
    >>> found = classes_of({"a": [f"Name a {p}." for p in pets], "b": [f"Name a {p}." for p in pets],
    ...                     "c": pets}, fewest=1)
    >>> found.of["b"], sorted(found.empty)
    ('a', ['c'])
    """
    pairs = {name: constant_grams(prompts, 2) for name, prompts in templates.items()}
    triples = {name: constant_grams(prompts, 3) for name, prompts in templates.items()}
    words = {
        name: {w for gram in grams for w in gram if _WORD.fullmatch(w) and w.lower() not in _FUNCTION}
        for name, grams in pairs.items()
    }
    of: dict[str, str] = {}
    names = sorted(templates)
    for i, name in enumerate(names):
        of[name] = name
        if not words[name]:
            continue
        for other in names[:i]:
            if not words[other]:
                continue
            a, b = triples[name], triples[other]
            if (a and b and len(a & b) >= 0.8 * len(a | b)) or (a == b and pairs[name] == pairs[other]):
                of[name] = of[other]
                break
    rows: dict[str, int] = defaultdict(int)
    for name in names:
        rows[of[name]] += len(templates[name])
    rare = {name for name, n in rows.items() if n < fewest}
    return Classes(of, {name for name in rows if not words[name]} - rare, rare)
