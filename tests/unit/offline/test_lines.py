"""A log as `offline` reads it: files and lines, ids, times, and what is wrong with a line."""

import gzip

import msgspec

from jitr.offline.lines import call_lines
from jitr.schemas.calls import Call

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


def test_a_line_without_a_time_is_of_now_where_it_is_published(tmp_path):
    file = tmp_path / "log.jsonl"
    timed = {"model": "m", "messages": PAIR["request"]["messages"], "time": 5.0}
    file.write_bytes(b"\n".join(map(msgspec.json.encode, [PAIR, timed])))
    assert [call.time for call in call_lines(file, now=1.7e9)] == [1.7e9, 5.0]
    assert [call.time for call in call_lines(file)] == [1.0, 5.0]
