"""A set made here, for whoever has no data: messages in thirty intents, answered by a simulated teacher."""

from __future__ import annotations

import random

from jitr.sandbox.traffic.tasks.intent import intent
from labelled.sets import LabelledSet

_ROWS = 2_400


def intents(seed: int) -> LabelledSet:
    """Distinct messages with the simulated teacher's answers and the truth."""
    task, rng = intent(), random.Random(seed)
    slot_values = list(dict.fromkeys(task.slot_value(rng) for _ in range(_ROWS)))
    answers = tuple(task.answer(slot_value) for slot_value in slot_values)
    return LabelledSet("made-intents", tuple(slot_values), answers, tuple(task.truth(p) for p in slot_values))
