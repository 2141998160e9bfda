"""Finding on recorded instructions with ad-hoc prompts between them; needs the public data."""

import gzip
import json
import os
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from jitr.models.tasks.matching.text import normalise
from jitr.models.tasks.mining.miner import Miner

DATA = os.environ.get("JITR_DATA")
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA, reason="JITR_DATA is unset: it names the folder of the public data"),
]
CALLS_A_TASK = 200


def rows(name):
    with gzip.open(Path(DATA or "") / name, "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def stream():
    rng = random.Random(7)
    asks = {d["task"]: " ".join(d["definition"]).strip() for d in rows("sapt-tasks/definitions.jsonl.gz")}
    inputs = defaultdict(list)
    for row in rows("sapt-tasks/instances.jsonl.gz"):
        inputs[row["task"]].append(row["input"].strip())
    calls = [
        (f"{asks[task]}\n{slot_value}", task)
        for task, slot_values in sorted(inputs.items())
        for slot_value in rng.sample(slot_values, min(CALLS_A_TASK, len(slot_values)))
    ]
    adhoc = [
        row["instruction"] for row in rows("noise-adhoc/dolly_flant5.jsonl.gz") if row["instruction"].strip()
    ]
    calls += [(prompt, None) for prompt in rng.sample(adhoc, 2500)]
    rng.shuffle(calls)
    return calls


def test_recorded_instructions_are_found_whole_and_pure(stream):
    miner = Miner()
    for i, (prompt, _) in enumerate(stream):
        miner.add(normalise(prompt), i)
    by_task = defaultdict(Counter)
    by_id = defaultdict(Counter)
    for prompt, task in stream:
        cluster = miner.match(normalise(prompt))
        id = cluster.id if cluster else None
        by_task[task][id] += 1
        by_id[id][task] += 1
    noise = by_task.pop(None)
    found = 0
    for task, counts in by_task.items():
        id, n = counts.most_common(1)[0]
        found += id is not None and n >= 0.8 * counts.total() and by_id[id][task] >= 0.9 * by_id[id].total()
    assert found >= len(by_task) - 2
    # some ad-hoc prompts are small families of their own ("Identify which instrument is string: ...")
    inside = sum(n for id, n in noise.items() if id is not None and n >= 20)
    assert inside <= 0.05 * noise.total()
