"""What verbs read: files of calls, and the task that a word means."""

import gzip
import json

import msgspec
import pytest

from jitr.cli.output import print_json
from jitr.cli.table import find
from jitr.offline.lines import call_lines
from jitr.router.table import Rows
from jitr.schemas.calls import Call
from jitr.schemas.errors import NotFoundError
from jitr.schemas.routes import Route
from jitr.schemas.tasks import Signature, Task

PAIR = {
    "request": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "response": {"model": "m", "choices": [{"message": {"content": "ho"}}]},
}


def test_a_packed_log_is_read_and_a_bad_line_is_named(tmp_path):
    file = tmp_path / "log.jsonl.gz"
    with gzip.open(file, "wb") as out:
        out.write(b"\n".join([msgspec.json.encode(PAIR), b"", b"{", b'{"model": 3}', b"\xff\xfe"]))
    good, *bad = call_lines(file, "acme")
    assert isinstance(good, Call)
    assert (good.tenant, good.response.text) == ("acme", "ho")
    assert [line.partition(" ")[0] for line in bad] == [f"{file}:{n}:" for n in (3, 4, 5)]


def test_a_byte_order_mark_costs_no_line(tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + msgspec.json.encode(PAIR) + b"\r\n")
    (call,) = call_lines(file)
    assert isinstance(call, Call)


def test_the_same_file_gives_the_same_ids_and_each_line_its_own(tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"\n".join([msgspec.json.encode(PAIR)] * 3))
    ids = [call.id for call in call_lines(file)]
    assert len(set(ids)) == 3
    assert [call.id for call in call_lines(file)] == ids


def test_tomorrows_file_of_the_same_name_gives_other_ids(tmp_path):
    ids = []
    for day, text in (("monday", "hi"), ("tuesday", "ho")):
        (tmp_path / day).mkdir()
        file = tmp_path / day / "calls.jsonl"
        file.write_bytes(msgspec.json.encode(PAIR).replace(b'"hi"', f'"{text}"'.encode()))
        ids += [call.id for call in call_lines(file)]
    assert len(set(ids)) == 2


def rows() -> Rows:
    made = Rows("t")
    for id, name in (("ab12", "spam"), ("ab34", "tone"), ("cd56", "tone")):
        made.tasks[id] = Task(id=id, tenant="t", name=name, signature=Signature(model="m", shape="user"))
        made.routes[id] = Route(tenant="t", task=id)
    return made


def test_a_task_is_meant_by_its_id_the_start_of_it_or_its_name():
    assert [find(rows(), word) for word in ("ab12", "cd", "spam")] == ["ab12", "cd56", "ab12"]


@pytest.mark.parametrize(
    ("word", "says"), [("ab", "ab12, ab34"), ("tone", "fits 2 tasks"), ("x", "tasks list")]
)
def test_a_word_that_means_none_or_several_is_refused(word, says):
    with pytest.raises(NotFoundError, match=says):
        find(rows(), word)


def test_json_shows_what_has_its_default_too(capsys):
    print_json({"routes": [Route(tenant="t", task="k")]})
    (shown,) = json.loads(capsys.readouterr().out)["routes"]
    assert (shown["state"], shown["target"], shown["audits"]) == ("teacher", {"kind": "teacher"}, 0)


def test_a_line_without_a_time_is_of_now_where_it_is_published(tmp_path):
    file = tmp_path / "log.jsonl"
    timed = {"model": "m", "messages": PAIR["request"]["messages"], "time": 5.0}
    file.write_bytes(b"\n".join(map(msgspec.json.encode, [PAIR, timed])))
    assert [call.time for call in call_lines(file, now=1.7e9)] == [1.7e9, 5.0]
    assert [call.time for call in call_lines(file)] == [1.0, 5.0]
