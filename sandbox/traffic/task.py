"""A task of the generated traffic: its prompt, its texts, and how a teacher answers it."""

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from jitr.sandbox.traffic.grammar import Grammar, Meaning
from jitr.sandbox.traffic.meaning import CueReader
from jitr.sandbox.traffic.prompt import Prompt
from jitr.sandbox.traffic.request import Body, Request


def unit(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but its arguments, in any process.

    Examples
    --------
    >>> unit("a", 1) == unit("a", 1) != unit("a", 2)
    True
    """
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / 2**64


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How a meaning is written as an answer.

    Parameters
    ----------
    form : str
        `str.format` template over the facets, as `"{queue}"`; empty writes a JSON object of the facets.
    words : mapping of str to str
        Value to the word that the teacher writes for it, where the two differ.

    Examples
    --------
    >>> AnswerForm("Category: {topic}", {"x": "X-ray"}).write({"topic": "x"})
    'Category: X-ray'
    >>> AnswerForm("").write({"item": "lamp", "wish": "refund"})
    '{"item": "lamp", "wish": "refund"}'
    """

    form: str
    words: Mapping[str, str] = field(default_factory=dict)

    def write(self, meaning: Meaning) -> str:
        """The text of the answer."""
        spoken = {facet: self.words.get(value, value) for facet, value in meaning.items()}
        return self.form.format(**spoken) if self.form else json.dumps(spoken)


@dataclass(frozen=True)
class SimulatedTask:
    """One recurring task.

    Parameters
    ----------
    name, model : str
        The task's name (never sent) and the model that its requests ask for.
    prompt : Prompt
        Its instruction; it must be unlike every other task's.
    grammar : Grammar
        Makes its slot values.
    form : AnswerForm
        Writes its answers.
    noise : float
        Chance in 0..1 that the teacher's answer is another one than the true one, drawn anew at each asking:
        the teacher agrees with itself about (1 - noise) ** 2 of the time.
    weight : float
        Its part of the traffic, relative to the other tasks.
    extra : mapping
        Further fields of the request body.
    """

    name: str
    model: str
    prompt: Prompt
    grammar: Grammar
    form: AnswerForm
    noise: float = 0.0
    weight: float = 1.0
    extra: Mapping[str, Any] = field(default_factory=dict)
    _reader: CueReader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_reader", self.grammar.reader())

    @property
    def labels(self) -> tuple[str, ...]:
        """Every answer that the task can have."""
        names = [facet.name for facet in self.grammar.facets]
        values = product(*(facet.values for facet in self.grammar.facets))
        return tuple(self.form.write(dict(zip(names, combination, strict=True))) for combination in values)

    def meaning(self, slot_value: str) -> dict[str, str]:
        """What a text says: for each facet the value with most cues, else any, but always the same."""
        scores = self._reader.scores(slot_value)
        found = {}
        for facet in self.grammar.facets:
            of_facet = scores.get(facet.name, {})
            found[facet.name] = max(
                facet.values,
                key=lambda value: (of_facet.get(value, 0.0), unit(slot_value, facet.name, value)),
            )
        return found

    def slot_value(self, rng: random.Random) -> str:
        """A text whose meaning is beyond doubt: one value of each facet has more cues than any other."""
        meaning = self.grammar.meaning(rng)
        while True:
            text = self.grammar.write(meaning, rng)
            if self._plain(text, meaning):
                return text

    def request(self, rng: random.Random) -> Request:
        """A request with a fresh slot value."""
        slot_value = self.slot_value(rng)
        return Request(self.body(slot_value), self.name, self.truth(slot_value), slot_value)

    def body(self, slot_value: str) -> Body:
        """The request body for a slot value."""
        return {
            "model": self.model,
            "messages": self.prompt.render(slot_value),
            "temperature": 0.0,
            **self.extra,
        }

    def truth(self, slot_value: str) -> str:
        """The answer of a teacher that makes no mistake."""
        return self.form.write(self.meaning(slot_value))

    def answer(self, slot_value: str, asking: int = 0) -> str:
        """What the teacher says when it is asked about a slot value for the `asking`-th time."""
        meaning = self.meaning(slot_value)
        if unit(self.name, slot_value, asking) < self.noise:
            at = int(unit(slot_value, asking, "facet") * len(self.grammar.facets))
            facet = self.grammar.facets[at]
            others = [value for value in facet.values if value != meaning[facet.name]]
            meaning[facet.name] = others[int(unit(slot_value, asking, "value") * len(others))]
        return self.form.write(meaning)

    def _plain(self, text: str, meaning: Meaning) -> bool:
        scores = self._reader.scores(text)
        for facet, value in meaning.items():
            of_facet = scores.get(facet, {})
            best = of_facet.get(value, 0.0)
            if best < 1.0 or any(score >= best for other, score in of_facet.items() if other != value):
                return False
        return True
