"""Recorded data as traffic."""

import gzip
import json
import os
from collections import Counter
from itertools import islice
from pathlib import Path

import aiohttp
import pytest

from jitr.sandbox.llm import SimulatedLLM
from jitr.sandbox.recorded import recorded
from jitr.schemas.errors import ConfigError


def write(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One table of each form, under names that mean nothing."""
    labels = ["red", "green", "blue"]
    texts = [{"text": f"text {i} of a kind", "label": labels[i % 3]} for i in range(600)]
    write(tmp_path / "aa" / "p.jsonl.gz", texts[:300])
    write(tmp_path / "aa" / "q.jsonl", texts[300:])
    write(
        tmp_path / "bb" / "d.jsonl.gz", [{"task": t, "definition": [f"Do {t}."]} for t in ("sort", "write")]
    )
    rows = [{"task": "sort", "input": f"item {i}", "output": ["yes", "no"][i % 2]} for i in range(700)]
    rows += [{"task": "write", "input": f"item {i}", "output": [f"free text {i}"]} for i in range(700)]
    rows += [{"task": "sort", "input": "unlabelled", "output": "-"}]
    write(tmp_path / "bb" / "i.jsonl.gz", rows)
    items = [{"i": str(i), "input": f"sentence {i}", "gold": "0"} for i in range(520)]
    write(tmp_path / "cc" / "x.items.jsonl.gz", items)
    answers = [
        {"model": model, "i": str(i), "response": f"{word} because of {i}"}
        for model, word in (("lab/other", "LATE"), ("lab/gpt-4o-1", "EARLY"))
        for i in range(520)
    ]
    for row in answers[-200:]:
        row["response"] = "**LATE**, certainly not early."
    write(tmp_path / "cc" / "x.answers.jsonl.gz", answers)
    adhoc = [{"instruction": f"{i}: why?", "response": f"because {i}"} for i in range(3000)]
    adhoc += [
        {"instruction": "The same long preamble of a task, again and again: " + str(i), "response": "x"}
        for i in range(9)
    ]
    write(tmp_path / "dd" / "n.jsonl.gz", adhoc)
    write(tmp_path / "ee" / "t.jsonl.gz", [{"time": 1, "text": "a", "label": "b"}])
    return tmp_path


def test_tasks_are_found_by_the_form_of_their_columns(folder: Path) -> None:
    workload = recorded(folder, 1)
    assert {name: len(task.answers) for name, task in workload.tasks.items()} == {
        "aa": 600, "sort": 700, "x-gpt-4o-1": 520,
    }  # fmt: skip
    assert workload.labels("x-gpt-4o-1") == ["EARLY", "LATE"]
    assert "lab/gpt-4o-1" in workload.models


def test_the_stream_asks_every_item_once_and_mixes_in_the_noise(folder: Path) -> None:
    requests = list(recorded(folder, 1, 0.3))
    counts = Counter(request.task for request in requests)
    assert counts["aa"] == 600 and counts["sort"] == 700 and counts["x-gpt-4o-1"] == 520
    assert 0.26 < counts[None] / len(requests) < 0.34
    assert len({request.task for request in requests[:40]}) == 4


def test_the_order_is_seeded(folder: Path) -> None:
    streams = [[request.slot_value for request in islice(recorded(folder, seed), 50)] for seed in (1, 1, 2)]
    assert streams[0] == streams[1] != streams[2]


def test_the_record_answers(folder: Path) -> None:
    workload = recorded(folder, 1)
    for request in workload:
        if request.task is None:
            assert workload.true_answer(request.body) is None
            assert workload.answer(request.body) == "because " + request.slot_value.split(":")[0]
        else:
            assert workload.recognise(request.body) == (request.task, request.slot_value)
            assert workload.true_answer(request.body) == request.label == workload.answer(request.body, 5)


def test_another_teacher_can_be_chosen_and_tasks_left_out(folder: Path) -> None:
    assert recorded(folder, teacher="other").names == ("aa", "sort", "x-other")
    assert recorded(folder, tasks=["sort"]).names == ("sort",)
    with pytest.raises(ConfigError, match="no task sing; there are aa, sort"):
        recorded(folder, tasks=["sing"])


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        recorded(tmp_path / "nowhere")
    (tmp_path / "dd" / "n.jsonl.gz").unlink()
    with pytest.raises(ConfigError, match="no ad-hoc prompts"):
        recorded(folder)
    assert recorded(folder, noise_share=0.0).names == ("aa", "sort", "x-gpt-4o-1")
    for path in (tmp_path / "aa").iterdir():
        path.unlink()
    (tmp_path / "bb" / "d.jsonl.gz").unlink()
    (tmp_path / "cc" / "x.items.jsonl.gz").unlink()
    with pytest.raises(
        ConfigError, match=r"no recorded task: found .*i\.jsonl\.gz \(instances\).*needed are texts"
    ):
        recorded(folder)


async def test_the_simulated_llm_serves_the_record(folder: Path) -> None:
    workload = recorded(folder, 3)
    llm = SimulatedLLM(workload, latency_s=0.0)
    await llm.start()
    async with aiohttp.ClientSession() as session:
        for request in islice(workload, 40):
            async with session.post(f"{llm.base_url}/chat/completions", json=request.body) as response:
                said = (await response.json())["choices"][0]["message"]["content"]
            assert said == workload.answer(request.body)
            assert llm.true_answer(request.body) == request.label
    await llm.stop()


@pytest.mark.data
@pytest.mark.skipif("JITR_DATA" not in os.environ, reason="JITR_DATA names no folder of public data")
def test_the_public_data_gives_several_tasks_of_a_thousand_calls() -> None:
    workload = recorded(Path(os.environ["JITR_DATA"]), 1, 0.3)
    counts = Counter(request.task for request in islice(workload, 12_000))
    assert sum(count >= 1000 for task, count in counts.items() if task) >= 4, counts
    assert 0.27 < counts[None] / 12_000 < 0.33
    assert len(workload.names) >= 6
    for request in islice(workload, 500):
        assert workload.true_answer(request.body) == request.label
