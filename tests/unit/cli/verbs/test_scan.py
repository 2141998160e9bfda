"""`jitr scan` on files as people have them: broken lines, no times, gzip, other tenants; and its page."""

import gzip
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from jitr.cli.main import main

ASK = "Decide whether the following remark is polite. Answer yes or no.\nRemark: "
# fmt: off
WORDS = [
    "apple", "river", "engine", "window", "garden", "pillow", "copper", "violin", "basket", "lantern",
    "meadow", "anchor", "pepper",
]
# fmt: on


def lines(n: int, time: float | None = 1.76e9) -> list[str]:
    rng = random.Random(3)
    made = []
    for i in range(n):
        mood = rng.choice(["please", "damn"])
        text = " ".join([*rng.choices(WORDS, k=3), mood, *rng.choices(WORDS, k=3)])
        call: dict[str, Any] = {
            "request": {"model": "gpt-4o", "messages": [{"role": "user", "content": ASK + text}]},
            "response": {"choices": [{"message": {"content": "Yes" if mood == "please" else "No"}}]},
        }
        if time is not None:
            call["time"] = time + 600 * i
        made.append(json.dumps(call))
    return made


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["scan", *arguments])
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


def test_a_log_with_broken_lines_is_read_and_the_lines_are_counted_with_their_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    made = lines(400)
    made[10:10] = ["{", "", "[1, 2]", '{"request": {"model": 3}}']
    log.write_bytes("\n".join(made).encode() + b"\n\xff\xfe\n")
    code, out, err = run(capsys, str(log), "--json")
    report = json.loads(out)
    assert code == 0
    assert (report["calls"], report["refused_lines"]) == (400, 4)
    assert [r["line"] for r in report["refused"]] == [11, 13, 14, 405]
    assert "log.jsonl:11: " in err
    (task,) = report["tasks"]
    assert (task["calls"], task["kind"], dict(task["labels"]).keys()) == (400, "label", {"yes", "no"})
    potential, saving = task["potential"], task["saving"]
    assert potential["coverage"] > 0.9 and potential["bound"] >= 0.95
    assert 0 < saving["low"] < saving["expected"] < saving["high"]
    # 400 calls in 400 * 10 minutes, a month has 10.8 of those
    assert report["period"] == "month"
    assert report["period_usd"] == pytest.approx(report["cost_usd"] * 30 * 144 / 399)


def test_without_times_the_saving_is_for_as_many_calls_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(lines(300, time=None)))
    code, out, _ = run(capsys, str(log))
    assert code == 0
    assert "no times" in out
    assert "saves such a log" in out


def test_a_gzip_file_that_breaks_off_gives_what_was_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl.gz"
    whole = gzip.compress("\n".join(lines(3000)).encode())
    log.write_bytes(whole[: len(whole) // 2])
    code, out, err = run(capsys, str(log), "--json")
    assert code == 0
    assert json.loads(out)["calls"] > 100
    assert "breaks off" in err


def test_a_file_without_a_call_is_an_error_that_says_what_a_line_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"a": 1}\n')
    code, _, err = run(capsys, str(log))
    assert code == 1
    assert "holds no call" in err


def test_measuring_ends_when_its_seconds_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(lines(100)))
    _, out, _ = run(capsys, str(log), "--seconds", "0", "--json")
    assert "not measured" in json.loads(out)["tasks"][0]["potential"]["reason"]


def test_the_page_needs_nothing_else_escapes_what_it_shows_and_hides_what_is_personal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "<log>.jsonl"
    made = lines(200)
    made[0] = made[0].replace("Remark: ", "Remark: <script>alert(1)</script> mail ann@example.org ")
    log.write_text("\n".join(made))
    page = tmp_path / "page.html"
    assert run(capsys, str(log), "--html", str(page))[0] == 0
    text = page.read_text()
    assert not re.findall(r"""(?:src|href)\s*=|url\(|@import|https?://""", text)
    assert "<script" not in text
    assert "ann@example.org" not in text
    assert "&lt;log&gt;.jsonl" in text
    assert "prefers-color-scheme: dark" in text
    assert "decide-whether" in text
    assert "$" + "facts" not in text


def test_a_file_without_a_call_says_what_is_wrong_with_its_first_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.json"
    log.write_text("[\n" + lines(1)[0] + ",\n]")
    code, _, err = run(capsys, str(log))
    assert code == 1
    assert "holds no call; line 1: JSON over several lines" in err


def test_a_page_for_a_missing_folder_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(lines(20)))
    code, out, err = run(capsys, str(log), "--html", str(tmp_path / "none" / "page.html"))
    assert (code, out) == (1, "")
    assert "there is no folder" in err


def test_a_prompt_is_no_markup_and_moves_no_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    made = [line.replace(ASK[:7], "[/INST]\\u001b[2J" + ASK[:7]) for line in lines(400)]
    log.write_text("\n".join(made).replace('"gpt-4o"', '"gpt-4o[/x]"'))
    code, out, _ = run(capsys, str(log))
    assert code == 0
    assert "gpt-4o[/x]" in out and "[/INST]" in out
    assert "\x1b" not in out


def scored(n: int) -> list[str]:
    """Calls whose answers are scores, given a point more or less at random."""
    rng = random.Random(5)
    made = []
    for i in range(n):
        mood, score = rng.choice([("please", 80), ("damn", 20)])
        text = " ".join([*rng.choices(WORDS, k=3), mood, *rng.choices(WORDS, k=3)])
        call = {
            "request": {"model": "gpt-4o", "messages": [{"role": "user", "content": ASK + text}]},
            "response": {"choices": [{"message": {"content": str(score + rng.choice([-1, 0, 1]))}}]},
            "time": 1.76e9 + 600 * i,
        }
        made.append(json.dumps(call))
    return made


def test_numbers_agree_within_the_tolerance_that_is_asked_for_or_is_the_policys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(scored(600)))

    def agreement(*asked: str) -> float:
        code, out, err = run(capsys, str(log), "--json", *asked)
        assert code == 0 and "no effect" not in err
        (task,) = json.loads(out)["tasks"]
        found = task["potential"]["agreement"]
        assert isinstance(found, float)
        return found

    assert agreement() < 0.6
    assert agreement("--tolerance", "2") > 0.95
    monkeypatch.setenv("JITR_POLICY__TOLERANCE", "2")
    assert agreement() > 0.95
    assert agreement("--tolerance", "0") < 0.6


def test_a_tolerance_that_is_none_is_refused_and_one_without_effect_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(lines(200)))
    code, _, err = run(capsys, str(log), "--tolerance", "nan")
    assert code == 1 and "--tolerance nan" in err
    code, _, err = run(capsys, str(log), "--tolerance", "1", "--json")
    assert code == 0 and "--tolerance has no effect" in err


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"n": 2}, "choices", "more than one answer asked for"),
        ({"logprobs": True, "top_logprobs": 2}, "logprobs", "log-probabilities"),
        ({"tools": [{"type": "function", "function": {"name": "look_up"}}]}, "tools", "tools or functions"),
        ({"image": True}, "media", "more than text"),
        ({"service_tier": "flex"}, "service_tier", "another service tier"),
        ({"my_tag": "a"}, "parameter my_tag", "not known"),
        ({"temperature": 5}, "invalid temperature", "refuses"),
    ],
)
def test_what_the_gateway_leaves_to_the_llm_is_not_replaceable_and_why_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict[str, Any], reason: str, words: str
) -> None:
    made = [json.loads(line) for line in lines(400)]
    for call in made:
        call["cost_usd"] = 0.02
        message = call["request"]["messages"][0]
        if "image" in fields:
            message["content"] = [{"type": "text", "text": message["content"]}, IMAGE]
        else:
            call["request"] |= fields
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(json.dumps(call) for call in made))
    report = json.loads(run(capsys, str(log), "--json")[1])
    (task,) = report["tasks"]
    assert task["only_teacher"] == report["only_teacher"] == {reason: 400}
    assert (task["potential"]["coverage"], task["saving"]["expected"]) == (0.0, 0.0)
    assert "only the LLM answers such calls" in task["potential"]["reason"]
    assert words in task["potential"]["reason"]
    assert f"`{reason}`, 400" in run(capsys, str(log))[1].replace("\n", " ")


def test_of_a_task_some_of_whose_calls_are_the_llms_only_the_rest_is_replaceable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [json.loads(line) for line in lines(600)]
    for call in made[::3]:
        call["request"]["n"] = 2
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(json.dumps(call) for call in made))
    (task,) = json.loads(run(capsys, str(log), "--json")[1])["tasks"]
    assert task["only_teacher"] == {"choices": 200}
    assert 0.55 < task["potential"]["coverage"] <= 2 / 3 + 1e-9


def test_a_deployment_is_priced_by_the_model_that_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [json.loads(line) for line in lines(60)]
    for call in made:
        call["request"]["model"] = "our-deployment"
        call["response"] |= {
            "model": "gpt-4o-mini-2024-07-18",
            "usage": {"prompt_tokens": 100, "completion_tokens": 1},
        }
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(json.dumps(call) for call in made))
    report = json.loads(run(capsys, str(log), "--json")[1])
    assert report["unpriced"] == report["estimated_tokens"] == 0
    assert report["cost_usd"] == pytest.approx(60 * (100 * 0.15 + 0.6) / 1e6)
