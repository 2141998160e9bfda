"""Matches texts against a compiled template: its constant runs, and the slots between them."""

from typing import Final

from jitr.models.tasks.matching.text import GAP, WORD, readable, weight
from jitr.schemas.tasks import Template


class Pattern:
    """A compiled template: an optional prefix, ordered inner runs, an optional suffix.

    Parameters
    ----------
    prefix, suffix : str
        Literals at the very start and end of the text; empty where there is none.
    inner : tuple of str
        Literals in between, in this order, each found at its first place.
    most_words : int
        Texts of more words do not match; 0 for no bound.

    Examples
    --------
    >>> p = Pattern("Review:", ("Stars:",), "Sentiment:")
    >>> p.matches("Review: fine Stars: 4 Sentiment:")
    True
    >>> p.slots("Review: fine Stars: 4 Sentiment:")
    (' fine ', ' 4 ')
    """

    __slots__ = ("inner", "lowered", "most_words", "prefix", "size", "suffix", "words")

    def __init__(self, prefix: str, inner: tuple[str, ...], suffix: str, most_words: int = 0) -> None:
        self.prefix: Final = prefix
        self.inner: Final = inner
        self.suffix: Final = suffix
        self.most_words: Final = most_words
        self.words: Final = weight(prefix) + weight(suffix) + sum(map(weight, inner))
        self.size: Final = len(prefix) + len(suffix) + sum(map(len, inner))
        self.lowered: Final = GAP.join((prefix, suffix, *inner)).lower()

    @classmethod
    def of(cls, template: Template) -> "Pattern":
        """A template of a task's record, compiled."""
        return cls(template.prefix, template.inner, template.suffix, template.most_words)

    def record(self) -> Template:
        """The template as it stands in a task's record."""
        return Template(prefix=self.prefix, inner=self.inner, suffix=self.suffix, most_words=self.most_words)

    def within(self, most_words: int) -> "Pattern":
        """The same literals, for texts of so many words at most."""
        return Pattern(self.prefix, self.inner, self.suffix, most_words)

    def is_as_wide(self, other: "Pattern") -> bool:
        """Whether texts may have as many words here as there.

        Examples
        --------
        >>> short = Pattern("Define", (), "", 5)
        >>> [short.is_as_wide(short.within(n)) for n in (4, 6, 0)]
        [True, False, False]
        """
        return not self.most_words or 0 < other.most_words <= self.most_words

    def covers(self, other: "Pattern") -> bool:
        """Whether what has another template has this one too: its literals hold ours, and its bound is no
        wider.

        Examples
        --------
        >>> Pattern("Define", (), "").covers(Pattern("Define the word:", (), ""))
        True
        >>> Pattern("Define", (), "", 5).covers(Pattern("Define the word:", (), ""))
        False
        """
        # the bounds are compared, so that of the stand-in need not hold
        return self.is_as_wide(other) and self.within(0).matches("x".join(other.runs))

    @property
    def runs(self) -> tuple[str, ...]:
        """All literals in reading order, the ends included even where they are empty."""
        return (self.prefix, *self.inner, self.suffix)

    @property
    def key(self) -> tuple[str, tuple[str, ...], str]:
        return (self.prefix, self.inner, self.suffix)

    @property
    def distinct_words(self) -> float:
        """Words of the literals, repeats counted once."""
        return weight(" ".join(dict.fromkeys(WORD.findall(" ".join(self.runs)))))

    def matches(self, text: str) -> bool:
        """Whether a normalised text has this template; linear in the text."""
        if not text.startswith(self.prefix) or (self.suffix and not text.endswith(self.suffix)):
            return False
        # words of a normalised text: one blank or line break stands between two
        if self.most_words and text.count(" ") + text.count("\n") >= self.most_words:
            return False
        start = len(self.prefix)
        end = len(text) - len(self.suffix)
        if start > end:
            return False
        for run in self.inner:
            start = text.find(run, start, end)
            if start < 0:
                return False
            start += len(run)
        return True

    def slots(self, text: str) -> tuple[str, ...]:
        """What stands between the runs of a matching text; one more than there are inner runs."""
        start = len(self.prefix)
        end = len(text) - len(self.suffix)
        if not self.inner:
            return (text[start:end],)
        out = []
        for run in self.inner:
            at = text.find(run, start, end)
            out.append(text[start:at])
            start = at + len(run)
        out.append(text[start:end])
        return tuple(out)

    def show(self) -> str:
        """The template for people, its slots marked.

        Examples
        --------
        >>> Pattern("Sort: ", (), "").show()
        'Sort: {...}'
        """
        return readable("{...}".join([self.prefix, *self.inner, self.suffix]))
