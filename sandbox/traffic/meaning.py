"""Reading the meaning of a text back from its words.

The label of a generated text is a function of the text alone, so that a simulated LLM in another process
knows the right answer without asking the generator. The function is not a keyword rule: it adds up every
cue, skips sentences that dismiss what they mention, and turns or drops what stands behind a negation.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SENTENCE = re.compile(r"[.!?]+(?:\s+|$)|\n+")
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
NEGATORS = frozenset({"not", "never", "hardly", "isn't", "wasn't", "don't", "didn't", "doesn't", "no"})
REACH = 2  # words between a negation and what it negates

Scores = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Cue:
    """A phrase that speaks for one value of one facet."""

    phrase: str
    facet: str
    value: str


class CueReader:
    """Counts the cues of each facet's values in a text.

    Parameters
    ----------
    cues : iterable of Cue
        Phrases are matched longest first, on whole words, in any case.
    dismissals : iterable of str
        A sentence that holds one of these phrases says nothing.
    opposites : mapping of str to str
        Where a negation leads: value to value. A negated cue whose value is not in it counts for nothing.

    Examples
    --------
    >>> reader = CueReader([Cue("great fun", "mood", "good"), Cue("dull", "mood", "bad")], ["they say"],
    ...                 {"good": "bad", "bad": "good"})
    >>> reader.scores("Great fun! They say it is dull. It was not dull.")
    {'mood': {'good': 2.0}}
    """

    def __init__(self, cues: Iterable[Cue], dismissals: Iterable[str], opposites: Mapping[str, str]) -> None:
        self._cues: dict[tuple[str, ...], set[tuple[str, str]]] = {}
        for cue in cues:
            words = tuple(WORD.findall(cue.phrase.lower()))
            self._cues.setdefault(words, set()).add((cue.facet, cue.value))
        self._longest: dict[str, int] = {}
        for words in self._cues:
            self._longest[words[0]] = max(len(words), self._longest.get(words[0], 0))
        self._dismissals = tuple(phrase.lower() for phrase in dismissals)
        self._opposites = dict(opposites)

    def scores(self, text: str) -> Scores:
        """Add up the cues of a text, as facet to value to score."""
        scores: Scores = {}
        for sentence in SENTENCE.split(text.lower()):
            if sentence and not any(phrase in sentence for phrase in self._dismissals):
                self._read(WORD.findall(sentence), scores)
        return scores

    def _read(self, words: list[str], scores: Scores) -> None:
        at = 0
        while at < len(words):
            for size in range(self._longest.get(words[at], 0), 0, -1):
                meanings = self._cues.get(tuple(words[at : at + size]))
                if meanings:
                    negated = not NEGATORS.isdisjoint(words[max(0, at - REACH) : at])
                    # sorted, so that the order of a set never reaches the sums
                    for facet, value in sorted(meanings):
                        self._count(scores, facet, self._opposites.get(value) if negated else value)
                    at += size
                    break
            else:
                at += 1

    @staticmethod
    def _count(scores: Scores, facet: str, value: str | None) -> None:
        if value is not None:
            of_facet = scores.setdefault(facet, {})
            of_facet[value] = of_facet.get(value, 0.0) + 1.0
