"""What can be raced: a base or two, and a head on top."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from jitr.models.surrogates.ridge_fit import MAX_ROWS


@dataclass(frozen=True)
class Candidate:
    """One way to make a surrogate.

    Attributes
    ----------
    head : "linear", "ridge", "mixture", "tuned" or "joined"
        Tuned is a linear head on an encoder whose upper layers are fitted with it; joined is a ridge on
        frozen features with tuned layers as its second opinion.
    ngrams : bool
        Whether it reads n-grams.
    encoder : str or None
        Name of the sentence encoder it reads.
    """

    head: Literal["linear", "ridge", "mixture", "tuned", "joined"]
    ngrams: bool
    encoder: str | None

    @property
    def base(self) -> str:
        """Its bases, for people: ``ngrams``, ``minilm``, ``minilm+ngrams``."""
        return "+".join([*([self.encoder] if self.encoder else []), *(["ngrams"] if self.ngrams else [])])

    @property
    def name(self) -> str:
        """Its bases and its head."""
        return f"{self.base} {self.head}"

    @property
    def tuned(self) -> bool:
        """Whether layers of its encoder are fitted too, which takes torch."""
        return self.head in ("tuned", "joined")

    @property
    def growth(self) -> float:
        """Exponent with which its fitting time grows with the rows, where no layers are tuned."""
        return 2.6 if self.head == "ridge" else 1.4

    def too_large(self, rows: int) -> bool:
        """Whether so many rows are more than its head takes."""
        return self.head in ("ridge", "joined") and rows > MAX_ROWS


def candidates(encoders: Iterable[str], *, long: bool = False) -> tuple[Candidate, ...]:
    """Every candidate that these encoders allow, tuned ones last; mixtures where texts are long.

    Examples
    --------
    >>> [c.name for c in candidates(["minilm"])]
    ['ngrams linear', 'minilm linear', 'minilm+ngrams ridge', 'minilm tuned', 'minilm+ngrams joined']
    >>> candidates(["minilm"], long=True)[-3].name
    'minilm+ngrams mixture'
    """
    found, names = [Candidate("linear", True, None)], tuple(encoders)
    for encoder in names:
        found += [Candidate("linear", False, encoder), Candidate("ridge", True, encoder)]
        if long:
            found.append(Candidate("mixture", True, encoder))
    for encoder in names:
        found += [Candidate("tuned", False, encoder), Candidate("joined", True, encoder)]
    return tuple(found)
