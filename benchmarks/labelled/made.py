"""A set made here, for whoever has no data: messages in thirty intents, answered by a simulated teacher."""

from __future__ import annotations

import random

from jitr.sandbox.traffic.tasks.intent import intent
from labelled.sets import LabelledSet

_ROWS = 2_400


def intents(seed: int) -> LabelledSet:
    """Distinct messages with the simulated teacher's answers and the truth."""
    task, rng = intent(), random.Random(seed)
    payloads = list(dict.fromkeys(task.payload(rng) for _ in range(_ROWS)))
    answers = tuple(task.answer(payload) for payload in payloads)
    return LabelledSet("made-intents", tuple(payloads), answers, tuple(task.truth(p) for p in payloads))
