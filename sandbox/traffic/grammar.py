"""Texts that mean something: clauses, distractors, fillers and the slips of a hurried writer."""

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jitr.sandbox.traffic.filler import DISMISSALS, DISMISSED, common
from jitr.sandbox.traffic.meaning import WORD, Cue, CueReader
from jitr.sandbox.traffic.template import cues, expand

Meaning = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Facet:
    """One thing that a text says: a closed set of values, each with templates that express it.

    Parameters
    ----------
    name : str
        Also the name of the hole that stands for it in frames.
    values : mapping of str to tuple of str
        Value to templates.
    every_word : bool
        Every word of a template is a cue, not only the starred ones (languages).
    """

    name: str
    values: Mapping[str, tuple[str, ...]]
    every_word: bool = False


@dataclass(frozen=True, slots=True)
class Grammar:
    """How the texts of a task are made.

    Parameters
    ----------
    facets : tuple of Facet
        What the texts say.
    frames : tuple of tuple of str
        Groups of templates with holes named after facets; each group is used at least once in a text.
    fillers : tuple of str
        Sentences that say nothing about any facet.
    clauses : tuple of float
        Chances of one, two, three, ... sentences for each group of frames.
    distraction : float
        Chance of a sentence that mentions another value, in 0..1.
    dismissed : float
        Chance that such a sentence says that it does not matter, in 0..1.
    typos : float
        Chance of a slip for each word, in 0..1.
    opposites : mapping of str to str
        Where a negation leads, value to value.
    polite : bool
        Openers and closers in English are mixed in.
    """

    facets: tuple[Facet, ...]
    frames: tuple[tuple[str, ...], ...]
    fillers: tuple[str, ...] = ()
    clauses: tuple[float, ...] = (0.4, 0.4, 0.2)
    distraction: float = 0.3
    dismissed: float = 0.6
    typos: float = 0.015
    opposites: Mapping[str, str] | None = None
    polite: bool = True

    def reader(self) -> CueReader:
        """What reads the meaning of these texts."""
        found = []
        for facet in self.facets:
            for value, templates in facet.values.items():
                for template in templates:
                    phrases = (
                        WORD.findall(re.sub(r"<\w+>", " ", template)) if facet.every_word else cues(template)
                    )
                    found += [Cue(phrase, facet.name, value) for phrase in phrases]
        return CueReader(found, DISMISSALS, self.opposites or {})

    def meaning(self, rng: random.Random) -> dict[str, str]:
        """A value for each facet, all equally likely."""
        return {facet.name: rng.choice(tuple(facet.values)) for facet in self.facets}

    def write(self, meaning: Meaning, rng: random.Random) -> str:
        """A text that is meant to say `meaning`; a slip or a distractor may make it say something else."""
        parts: list[str] = []
        for group in self.frames:
            count = rng.choices(range(1, len(self.clauses) + 1), self.clauses)[0]
            used: set[str] = set()
            parts += [self._clause(rng.choice(group), meaning, rng, used) for _ in range(count)]
        if rng.random() < self.distraction:
            parts.append(self._distractor(meaning, rng))
        # the first sentence is often not about the matter, and the matter may come last
        if self.fillers:
            chosen = rng.sample(self.fillers, rng.choices((0, 1, 2), (0.3, 0.45, 0.25))[0])
            parts += [expand(filler, rng, common(rng)) for filler in chosen]
        rng.shuffle(parts)
        if self.polite:
            parts = _with_manners(parts, rng)
        return _as_typed([part for part in parts if part], self.typos, rng)

    def _clause(self, frame: str, meaning: Meaning, rng: random.Random, used: set[str]) -> str:
        return expand(frame, rng, self._fill(meaning, rng, used))

    def _fill(self, meaning: Meaning, rng: random.Random, used: set[str]) -> Callable[[str], str]:
        shared = common(rng)
        facets = {facet.name: facet for facet in self.facets}

        def fill(name: str) -> str:
            if name not in facets:
                return shared(name)
            templates = facets[name].values[meaning[name]]
            fresh = [template for template in templates if template not in used] or list(templates)
            template = rng.choice(fresh)
            used.add(template)
            return expand(template, rng, fill)

        return fill

    def _distractor(self, meaning: Meaning, rng: random.Random) -> str:
        facet = rng.choice(self.facets)
        other = rng.choice([value for value in facet.values if value != meaning[facet.name]])
        frames = [frame for group in self.frames for frame in group]
        about = [frame for frame in frames if f"<{facet.name}>" in frame] or frames
        clause = self._clause(rng.choice(about), {**meaning, facet.name: other}, rng, set())
        if rng.random() >= self.dismissed:
            return clause
        return expand(
            rng.choice(DISMISSED), rng, lambda name: clause if name == "clause" else common(rng)(name)
        )


def _with_manners(parts: list[str], rng: random.Random) -> list[str]:
    fill = common(rng)
    opener = [fill("opener")] if rng.random() < 0.45 else []
    closer = [fill("closer")] if rng.random() < 0.4 else []
    return opener + parts + closer


def _as_typed(parts: list[str], typos: float, rng: random.Random) -> str:
    ends = rng.choice((".", ".", ".", ".", "!", "..."))
    capital = rng.random() < 0.7
    sentences = []
    for part in parts:
        text = " ".join(part.split())
        text = text[:1].upper() + text[1:] if capital else text[:1].lower() + text[1:]
        sentences.append(text if text[-1] in ".!?," else text + ends)
    gap = "\n" if rng.random() < 0.12 else " "
    return gap.join(" ".join(_slip(word, typos, rng) for word in s.split(" ")) for s in sentences)


def _slip(word: str, chance: float, rng: random.Random) -> str:
    if len(word) < 5 or not word.isalpha() or rng.random() >= chance:
        return word
    at = rng.randrange(1, len(word) - 2)
    kind = rng.randrange(3)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[: at + 1] + word[at:]
