"""What can be raced: encoders, and a head on top."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from jitr.models.surrogates.heads.ridge_fit import MAX_ROWS


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
    partner : str or None
        Name of another that it reads side by side with it.
    """

    head: Literal["linear", "ridge", "mixture", "tuned", "joined"]
    ngrams: bool
    encoder: str | None
    partner: str | None = None

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of all encoders that it reads: none, one or two."""
        return tuple(name for name in (self.encoder, self.partner) if name is not None)

    @property
    def encoder_names(self) -> str:
        """Its encoders, for people: ``ngrams``, ``minilm``, ``minilm+e5-small+ngrams``."""
        return "+".join([*self.encoders, *(["ngrams"] if self.ngrams else [])])

    @property
    def name(self) -> str:
        """Its encoders and its head."""
        return f"{self.encoder_names} {self.head}"

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

    Of two encoders or more the first two are paired.

    Examples
    --------
    >>> [c.name for c in candidates(["minilm"])]
    ['ngrams linear', 'minilm linear', 'minilm+ngrams ridge', 'minilm tuned', 'minilm+ngrams joined']
    >>> [c.name for c in candidates(["minilm", "e5"]) if c.partner]
    ['minilm+e5+ngrams ridge']
    >>> candidates(["minilm"], long=True)[-3].name
    'minilm+ngrams mixture'
    """
    found, names = [Candidate("linear", True, None)], tuple(encoders)
    for encoder in names:
        found += [Candidate("linear", False, encoder), Candidate("ridge", True, encoder)]
        if long:
            found.append(Candidate("mixture", True, encoder))
    if len(names) > 1:
        found.append(Candidate("ridge", True, names[0], names[1]))
    for encoder in names:
        found += [Candidate("tuned", False, encoder), Candidate("joined", True, encoder)]
    return tuple(found)
