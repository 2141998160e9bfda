"""Logs as people have them: odd times, answers that are none, headers, and forms that are not read."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from stage.logs import request, response, rows, write

from jitr.cli.main import main
from jitr.cli.verbs.fit import fit
from jitr.models.redaction.redaction import Redaction
from jitr.offline.lines import call_lines
from jitr.offline.teaching import read
from jitr.schemas.calls import Call
from jitr.schemas.errors import ConfigError
from jitr.schemas.settings import Settings

START, STEP = 1_760_000_000, 216
UNIT = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 10**9}


def timed(unit: int = 1, odd: dict[int, Any] | None = None, n: int = 400) -> list[dict[str, Any]]:
    """Calls 216 seconds apart; the lines that ``odd`` names have its times."""
    times: dict[int, Any] = {i: (START + STEP * i) * unit for i in range(n)} | (odd or {})
    return [
        {"request": request(text), "response": response(label), "cost_usd": 0.02, "time": times[i]}
        for i, (text, label) in enumerate(rows(n, 3))
    ]


def scanned(capsys: pytest.CaptureFixture[str], log: Path) -> tuple[dict[str, Any], str]:
    with pytest.raises(SystemExit) as ended:
        main(["scan", str(log), "--json"])
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    return json.loads(said.out), said.err


def told(report: dict[str, Any]) -> tuple[Any, ...]:
    """What the forecast rests on."""
    tasks = [(t["calls"], t["potential"]["coverage"]) for t in report["tasks"]]
    return report["calls"], report["period"], report["period_usd"], tasks, report["saving"]


@pytest.fixture(scope="module")
def in_seconds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("seconds") / "log.jsonl", timed())


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_in_any_unit_give_the_same_forecast(
    unit: str, in_seconds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, _ = scanned(capsys, in_seconds)
    assert expected["period"] == "month" and expected["period_usd"] == pytest.approx(240.6, abs=0.1)
    report, _ = scanned(capsys, write(tmp_path / "log.jsonl", timed(UNIT[unit])))
    assert told(report) == told(expected)


@pytest.mark.parametrize("at", [0, 200, 399])
def test_one_line_in_milliseconds_is_read_as_such(at: int, in_seconds: Path, tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", timed(odd={at: (START + STEP * at) * 1000}))
    assert [c.time for c in call_lines(log)] == [c.time for c in call_lines(in_seconds)]


@pytest.mark.parametrize("at", [0, 200, 399])
@pytest.mark.parametrize("odd", [0, 2.5, -5, 1e300, "soon", 86_400.0 * 3000, 4e9, True, "2001-01-01"])
def test_one_line_whose_time_is_none_is_named_and_the_others_count(at: int, odd: Any, tmp_path: Path) -> None:
    (*found,) = call_lines(write(tmp_path / "log.jsonl", timed(odd={at: odd})))
    calls = [c for c in found if isinstance(c, Call)]
    (wrong,) = [c for c in found if not isinstance(c, Call)]
    assert f"log.jsonl:{at + 1}: $.time: " in wrong
    assert len(calls) == 399 and all(START <= c.time < START + 400 * STEP for c in calls)


def test_a_line_whose_time_is_none_spoils_no_forecast(
    in_seconds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, _ = scanned(capsys, in_seconds)
    report, err = scanned(capsys, write(tmp_path / "log.jsonl", timed(odd={200: 0})))
    assert (report["calls"], report["period"], report["refused_lines"]) == (399, "month", 1)
    assert report["period_usd"] == pytest.approx(expected["period_usd"], rel=0.01)
    assert "log.jsonl:201: $.time: " in err


@pytest.mark.parametrize("at", [0, 7])
def test_a_line_without_a_time_among_others_has_that_of_the_one_before(at: int, tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", timed(odd={at: None}, n=20))
    times = [call.time for call in call_lines(log)]
    assert times[at] == START + STEP * max(at - 1, 1 - at)
    assert [call.time for call in call_lines(log, now=1.8e9)][at] == 1.8e9


def test_where_lines_count_from_one_they_are_no_times_and_none_is_left_out(tmp_path: Path) -> None:
    log = write(tmp_path / "log.jsonl", timed(odd={i: i + 1 for i in range(20)}, n=20))
    assert [call.time for call in call_lines(log)] == list(range(1, 21))


NONE = {
    "reasoning only": (response(None, reasoning_content="It speaks of a parcel."), "empty", "without text"),
    "nothing": (response("  "), "empty", "without text"),
    "a function": (
        response(None, "function_call", function_call={"name": "f", "arguments": "{}"}),
        "tool_call",
        "tool or function calls",
    ),
    "a tool": (
        response(None, "stop", tool_calls=[{"id": "a", "function": {"name": "f", "arguments": {}}}]),
        "tool_call",
        "tool or function calls",
    ),
    "length": (response("ship", "length"), "cut_short", "cut short"),
    "filter": (response("ship", "content_filter"), "filtered", "filtered"),
    "declined": (response(None, refusal="I cannot sort this."), "filtered", "declined"),
    "error": (response("ship", "error"), "failed", "failed"),
    "abort": (response("ship", "abort"), "failed", "failed"),
    "null": (response("ship", None), "unfinished", "finish reason"),
    "an error body": ({"error": {"message": "overloaded", "code": 502}}, "failed", "failed"),
    "no choices": ({"choices": [], "usage": {"prompt_tokens": 3}}, "failed", "failed"),
    "no response": (None, "unanswered", "without an answer"),
}


@pytest.mark.parametrize(("said", "why", "words"), NONE.values(), ids=NONE)
def test_answers_that_are_no_labels_are_counted_and_replace_nothing(
    said: dict[str, Any] | None, why: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [{"request": request(text), "response": said, "cost_usd": 0.02} for text, _ in rows(200)]
    log = write(tmp_path / "log.jsonl", lines)
    report, _ = scanned(capsys, log)
    assert report["calls"] == 200 and report["cost_usd"] == pytest.approx(4.0)
    assert report["no_labels"] == {why: 200}
    for task in report["tasks"]:
        assert task["potential"]["coverage"] == 0 and task["labels"] == []
        assert words in task["potential"]["reason"]
    assert report["saving"]["expected"] == 0
    with pytest.raises(SystemExit):
        main(["scan", str(log)])
    assert re.search(f"no labels, .*: 200 .*{words}", capsys.readouterr().out)
    ended = CliRunner().invoke(fit, [str(log), "--out", str(tmp_path / "out")])
    assert isinstance(ended.exception, ConfigError) and words in str(ended.exception)


def test_what_is_replaceable_is_a_share_of_all_calls_not_of_those_with_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        {"request": request(text), "response": response(label) if i % 4 else response(label[:4], "length")}
        for i, (text, label) in enumerate(rows(400))
    ]
    log = write(tmp_path / "log.jsonl", lines)
    report, _ = scanned(capsys, log)
    assert report["no_labels"] == {"cut_short": 100}
    (task,) = report["tasks"]
    assert {label for label, _ in task["labels"]} == {"billing", "shipping", "account"}
    assert task["potential"]["coverage"] == pytest.approx(0.75)
    taught = read(log, None, Redaction(Settings()))
    assert {e.text for e in taught.examples} == {"billing", "shipping", "account"}
    assert taught.no_labels == {"cut_short": 100} and len(taught.examples) == 300


def test_fit_says_which_calls_the_gateway_leaves_to_the_llm(tmp_path: Path) -> None:
    lines = [
        {"request": request(text) | ({"n": 2} if i % 2 else {}), "response": response(label)}
        for i, (text, label) in enumerate(rows(200))
    ]
    log = write(tmp_path / "log.jsonl", lines)
    taught = read(log, None, Redaction(Settings()))
    assert taught.only_teacher == {"choices": 100} and len(taught.examples) == 200
    ended = CliRunner().invoke(fit, [str(log), "--out", str(tmp_path / "out")])
    assert "leaves to the LLM" in ended.output and "`choices`, 100" in ended.output


def test_answers_in_parts_teach_as_plain_ones_do(tmp_path: Path) -> None:
    lines = [
        {"request": request(text), "response": response([{"type": "text", "text": a}] if i % 2 else a)}
        for i, (text, a) in enumerate(rows(200))
    ]
    taught = read(write(tmp_path / "log.jsonl", lines), None, Redaction(Settings()))
    assert (len(taught.examples), taught.refused, dict(taught.no_labels)) == (200, [], {})


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"_meta": {"exported": "2026-11-01"}}, "expected an input"),
        ({"input": "a broken wheel", "answer": None}, "the answer is null"),
        ({"input": "a broken wheel", "answer": " "}, "the answer has no text"),
        ({"input": "a broken wheel", "answer": "..."}, "the answer has no text"),
        ({"input": 7, "answer": "billing"}, "expected an input"),
        ([1], "expected an object"),
    ],
)
@pytest.mark.parametrize("at", [0, 4])
def test_one_row_that_is_no_pair_is_named_and_the_others_teach(
    odd: Any, why: str, at: int, tmp_path: Path
) -> None:
    lines: list[Any] = [{"input": text, "answer": label} for text, label in rows(100)]
    lines.insert(at, odd)
    taught = read(write(tmp_path / "pairs.jsonl", lines), None, Redaction(Settings()))
    assert len(taught.examples) == 100
    (wrong,) = taught.refused
    assert f"pairs.jsonl:{at + 1}: {why}" in wrong


def test_fit_names_the_lines_that_it_could_not_read_as_scan_does(tmp_path: Path) -> None:
    lines = [{"_meta": 1}, *[{"input": text, "answer": label} for text, label in rows(200)], "x"]
    file = write(tmp_path / "pairs.jsonl", lines)
    done = CliRunner().invoke(fit, [str(file), "--out", str(tmp_path / "out"), "--max-latency-ms", "9999"])
    assert f"{file}:1: expected an input" in done.stderr and f"{file}:202: expected an object" in done.stderr
    assert "2 lines could not be read" in done.stdout
    shown = CliRunner().invoke(
        fit, [str(file), "--out", str(tmp_path / "out"), "--max-latency-ms", "9999", "--json"]
    )
    assert json.loads(shown.stdout)["refused_lines"] == 2


TEXT, LABEL = "where is my parcel?", "shipping"
BODY = response(LABEL)
ASKED = request(TEXT)
MESSAGES, SAID = ASKED["messages"], {"role": "assistant", "content": LABEL}
BATCHED = {"status_code": 200, "body": BODY}
CLAUDE = {"model": "c", "max_tokens": 9, "messages": [{"role": "user", "content": TEXT}]}
FOREIGN: dict[str, tuple[Any, str]] = {
    "batch output": ({"custom_id": "r", "response": BATCHED, "error": None}, "custom_id"),
    "batch with request": ({"request": ASKED, "response": BATCHED}, "`body`"),
    "input and output": ({"input": ASKED, "output": BODY}, "`input` and `output`"),
    "an observation": ({"input": MESSAGES, "output": SAID}, "`input` and `output`"),
    "a proxy's log": ({"model": "m", "messages": MESSAGES, "response": BODY}, "as `request`"),
    "fine-tuning": ({"messages": [*MESSAGES, SAID]}, "fine-tuning"),
    "fine-tuning with a model": ({"model": "m", "messages": [*MESSAGES, SAID]}, "fine-tuning"),
    "anthropic": ({"request": CLAUDE, "response": {"type": "message", "content": []}}, "Anthropic"),
    "responses": ({"request": {"model": "m", "input": TEXT}, "response": {}}, "Responses"),
    "completions": ({"request": {"model": "m", "prompt": TEXT}, "response": {}}, "prompt"),
    "a span": ({"name": "chat", "attributes": {"gen_ai.request.model": "m"}}, "OpenTelemetry"),
    "an array": ([{"request": ASKED, "response": BODY}], "jq -c '.[]'"),
}


@pytest.mark.parametrize(("line", "mend"), FOREIGN.values(), ids=FOREIGN)
def test_a_form_that_is_not_read_is_named_with_its_mend(line: Any, mend: str, tmp_path: Path) -> None:
    file = write(tmp_path / "log.jsonl", [line] * 3)
    found = list(call_lines(file))
    assert len(found) == 3 and all(isinstance(c, str) and mend in c for c in found)
    with pytest.raises(ConfigError) as refused:
        read(file, None, Redaction(Settings()))
    assert mend in str(refused.value)


@pytest.mark.parametrize(
    ("raw", "mend"),
    [
        (json.dumps([{"request": request(TEXT), "response": BODY}], indent=2).encode(), "jq -c '.[]'"),
        (json.dumps({"request": request(TEXT), "response": BODY}, indent=2).encode(), "jq -c ."),
        ((json.dumps({"request": request(TEXT), "response": BODY}) + "\r\n").encode("utf-16"), "iconv"),
        ((json.dumps({"request": request(TEXT), "response": BODY}) + "\r\n").encode("utf-16-le"), "iconv"),
    ],
)
def test_a_file_that_holds_no_lines_of_json_is_refused_once(raw: bytes, mend: str, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_bytes(raw)
    (wrong,) = call_lines(file)
    assert isinstance(wrong, str) and mend in wrong


def test_lines_as_python_writes_them_are_read(tmp_path: Path) -> None:
    body = response("ok \ud83d")
    body["choices"][0]["logprobs"] = {"content": [{"token": "ok", "logprob": float("-inf")}]}
    lines = [{"request": request("half a smile: \ud83d"), "response": body, "cost_usd": float("nan")}]
    (call,) = call_lines(write(tmp_path / "log.jsonl", lines))
    assert isinstance(call, Call) and call.response is not None
    assert (call.messages[1].content, call.response.text) == ("half a smile: �", "ok �")
    assert call.cost_usd is None
