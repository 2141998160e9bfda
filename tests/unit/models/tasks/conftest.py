"""Calls and streams that the tests of finding tasks share."""

import random
from collections.abc import Callable, Sequence

import pytest

from jitr.schemas.calls import Call, Message, Response

Maker = Callable[..., Call]

# fmt: off
NOUNS = [
    "apple", "river", "engine", "window", "garden", "pillow", "copper", "violin", "basket", "lantern",
    "meadow",
    "anchor", "pepper", "saddle", "marble", "ribbon", "canyon", "pencil", "walnut", "thunder", "harbor",
    "blanket",
    "mirror", "kettle", "feather",
]
STARTS = ["the", "a", "my old", "that", "every", "no", "her new", "some", "this", "our"]
VERBS = [
    "broke", "arrived", "vanished", "melted", "failed", "sang", "returned", "fell", "burned", "worked",
    "shrank",
    "leaked", "stopped",
]
TAILS = [
    "yesterday", "after lunch", "in the rain", "without a sound", "on monday", "by mistake", "near the mill",
    "again",
]
# fmt: on


@pytest.fixture
def make() -> Maker:
    """Makes a call from a prompt (or messages) and an answer."""

    def call(
        id: str,
        prompt: str | Sequence[tuple[str, str]],
        answer: str | None = None,
        *,
        tenant: str = "acme",
        model: str = "gpt-4o",
        time: float = 0.0,
        task: str | None = None,
        tools: str | None = None,
    ) -> Call:
        turns = [("user", prompt)] if isinstance(prompt, str) else prompt
        return Call(
            id=id,
            tenant=tenant,
            model=model,
            time=time,
            task=task,
            tools=tools,
            messages=tuple([Message(role=role, content=content) for role, content in turns]),
            response=None if answer is None else Response(text=answer),
        )

    return call


@pytest.fixture
def slot_values() -> Callable[[int], list[str]]:
    """Distinct short sentences, seeded."""

    def some(n: int, seed: int = 0) -> list[str]:
        rng = random.Random(seed)
        found: dict[str, None] = {}
        while len(found) < n:
            words = [
                rng.choice(STARTS),
                rng.choice(NOUNS),
                rng.choice(NOUNS),
                rng.choice(VERBS),
                rng.choice(TAILS),
            ]
            found["{} {} and the {} {} {}".format(*words)] = None
        return list(found)

    return some
