"""Every program in examples/ runs as its first lines say, and shows what they promise."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from stage.published import published
from stage.served import reviews

from jitr.sandbox.broker import Broker
from jitr.sandbox.processes import Processes

EXAMPLES = Path(__file__).parents[2] / "examples"
MODEL = "gpt-4o-mini"
GOOD, BAD = "the film was superb", "the plot was dull"


def run(name: str, *arguments: object, **environ: str) -> list[str]:
    """The lines that an example prints."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path), **environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


async def reasons(served: dict[str, str], calls: int) -> list[str]:
    topic = f"{served['JITR_KAFKA__PREFIX']}llm.calls"
    found = await published(served["KAFKA_BOOTSTRAP_SERVERS"], calls, topic=topic)
    return [call.decision.reason for call in found if call.decision is not None]


def test_each_says_what_it_shows_and_how_it_is_run_and_stands_in_the_list() -> None:
    programs = sorted(path.name for path in EXAMPLES.glob("*.py"))
    listed = re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text())
    assert sorted(listed) == programs
    for name in programs:
        said = ast.get_docstring(ast.parse((EXAMPLES / name).read_text()))
        assert said is not None and f"python examples/{name}" in said, name
        assert f'"{name}"' in Path(__file__).read_text(), f"{name} is not run"


def test_a_log_is_scanned(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with log.open("w") as out:
        for text, answer in reviews(120):
            request = {"model": MODEL, "messages": [{"role": "user", "content": f"Sort this mail: {text}"}]}
            response = {"choices": [{"message": {"content": answer}}]}
            out.write(json.dumps({"request": request, "response": response}) + "\n")
    first, *tasks = run("scan_log.py", log)
    assert first.startswith("120 calls, $")
    assert len(tasks) == 1 and "answers: label" in tasks[0]


def test_a_surrogate_is_fitted_and_leaves_home(tmp_path: Path) -> None:
    file = tmp_path / "reviews.jsonl"
    file.write_text("\n".join([json.dumps({"input": text, "answer": said}) for text, said in reviews(300)]))
    proves, answer = run("fit_and_eject.py", file, tmp_path / "out", GOOD)
    assert "of calls are accepted" in proves and answer == "positive"
    alone = subprocess.run(
        [sys.executable, str(tmp_path / "out" / "ejected" / "answer.py"), BAD],
        capture_output=True,
        text=True,
        check=True,
    )
    assert alone.stdout.startswith("negative\t")


def test_a_dialect_of_ones_own_is_scanned() -> None:
    (line,) = run("own_dialect.py")
    assert line.endswith("12 calls to big-llm, answers {'billing': 6, 'shipping': 6}")


def test_the_openai_client_goes_through_the_gateway(served: dict[str, str], tmp_path: Path) -> None:
    processes = Processes(tmp_path / "logs")
    gateway = processes.start("gateway", [sys.executable, "-m", "jitr.cli", "gateway", "--port", "0"], served)
    try:
        processes.wait_until(gateway, lambda: "in front of" in gateway.said())
        found = re.search(r"serves (http://\S+/v1) in front", gateway.said())
        assert found is not None
        answer, route = run("gateway_client.py", found[1], **served)
    finally:
        processes.stop()
    assert answer == "Positive."
    assert re.fullmatch(r"answered by the teacher; jitr why [0-9a-f]{24}", route)


@pytest.mark.parametrize("name", ["router_async.py", "router_threads.py"])
async def test_the_router_answers_in_a_program(name: str, served: dict[str, str]) -> None:
    lines = await asyncio.to_thread(run, name, GOOD, BAD, **served)
    expected = ["Positive. (surrogate)", "Negative. (surrogate)"]
    if name == "router_threads.py":
        expected.append("in a child: Positive. (surrogate)")
    assert lines == expected
    assert await reasons(served, len(expected)) == ["accepted"] * len(expected)


@pytest.mark.parametrize("name", ["router_async.py", "router_threads.py"])
def test_the_llm_answers_where_there_is_no_redis(name: str, served: dict[str, str]) -> None:
    lines = run(name, GOOD, **{**served, "REDIS_URL": "redis://127.0.0.1:9/0"})
    assert lines[0] == "Positive. (LLM asked: no_snapshot)"


@pytest.mark.parametrize(("name", "calls"), [("publish_confluent.py", 1), ("publish_aiokafka.py", 2)])
async def test_any_kafka_client_publishes(name: str, calls: int, tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker")
    await broker.start()
    (line,) = await asyncio.to_thread(run, name, broker.bootstrap)
    assert line.startswith("published")
    found = await published(broker.bootstrap, calls)
    assert [(call.model, call.response.text) for call in found if call.response is not None] == [
        (MODEL, "Positive."),
        (MODEL, "Negative."),
    ][:calls]
    await broker.stop()
