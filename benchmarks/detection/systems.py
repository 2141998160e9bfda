"""Ours, and what a system has to do to be measured."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from time import process_time

from detection.streams import Prompt
from jitr.models.answers.normalize import terse
from jitr.models.tasks.matching.text import normalise
from jitr.models.tasks.mining.miner import Miner


@dataclass(slots=True)
class Result:
    """What a system made of a stream.

    Parameters
    ----------
    arrival, final : list
        Cluster of each call when it came, and in the end; None where it has none.
    rates : dict
        Calls a second of CPU time, by metric.
    note : str
        What the reader must know, such as a limit.
    """

    arrival: list[Hashable | None]
    final: list[Hashable | None]
    rates: dict[str, float]
    note: str = ""


System = Callable[[Sequence[Prompt], int], Result]


def jitr(calls: Sequence[Prompt], seed: int) -> Result:
    """Our miner on the texts of a stream, with the teacher's answers; one pass, then a match of all."""
    miner = Miner()
    answers = [terse(call.answer) if call.answer is not None else None for call in calls]
    raw: list[int | None] = []
    started = process_time()
    for i, call in enumerate(calls):
        raw.append(miner.add(normalise(call.text), i, answers[i]))
        if miner.events:
            miner.events.clear()
    mine_s = process_time() - started
    started = process_time()
    final: list[Hashable | None] = []
    for call in calls:
        found = miner.match(normalise(call.text))
        final.append(None if found is None else found.id)
    match_s = process_time() - started
    arrival: list[Hashable | None] = [None if id is None else miner.clusters.resolve(id) for id in raw]
    return Result(
        arrival,
        final,
        {"mine_calls_per_s": len(calls) / mine_s, "match_calls_per_s": len(calls) / match_s},
    )


def steady(calls: Sequence[Prompt], unseen: Sequence[Prompt], share: float = 0.3) -> float:
    """Calls a second of CPU time where a share of the prompts is unseen, all templates known, mining on."""
    miner = Miner()
    for i, call in enumerate(calls):
        miner.add(normalise(call.text), i)
    n = int(len(unseen) / share)
    known = [calls[i % len(calls)].text for i in range(n - len(unseen))]
    mixed: list[str] = []
    taken = 0
    for i in range(n):
        if (i + 1) * share >= taken + 1 and taken < len(unseen):
            mixed.append(unseen[taken].text)
            taken += 1
        else:
            mixed.append(known[(i - taken) % len(known)])
    started = process_time()
    for i, text in enumerate(mixed, len(calls)):
        miner.add(normalise(text), i)
        if miner.events:
            miner.events.clear()
    return len(mixed) / (process_time() - started)


def peak_memory_mb(calls: Sequence[Prompt]) -> float:
    """The miner's own memory after a stream, in MB; slow, as every allocation is counted."""
    texts = [call.text for call in calls]
    gc.collect()
    tracemalloc.start()
    try:
        miner = Miner()
        for i, text in enumerate(texts):
            miner.add(normalise(text), i)
            miner.events.clear()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
