"""Records as people's producers write them, and what each must give.

Made up after the ways of Spring, Sarama, librdkafka, Kafka Connect and schema registries.
"""

import base64
import json
import struct
from dataclasses import dataclass
from typing import Any

TIME = "2026-11-29T07:00:00Z"
SECONDS = 1795935600.0
PAIR = {
    "request": {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "You sort messages for a shop. Answer with one word."},
            {"role": "user", "content": "The parcel has not come."},
        ],
    },
    "response": {
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "shipping"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 60, "completion_tokens": 1, "total_tokens": 61},
    },
}
CALL = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "response": {"text": "yo"}}
_CE = {"id": "e", "source": "/shop", "type": "dev.jitr.llm.openai.v1", "time": TIME}
_STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
_BATCH = [("content-type", b"application/cloudevents-batch+json")]


@dataclass(frozen=True)
class Odd:
    """A record: it gives so many calls, at this time, and dead letters whose reasons match."""

    name: str
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    calls: int = 1
    time: float | None = None
    letters: tuple[str, ...] = ()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _event(**more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "datacontenttype": "application/json", "data": PAIR, **_CE, **more}


def _binary(**more: Any) -> list[tuple[str, bytes | None]]:
    """Headers of binary mode; `...` leaves one out, None gives it no value."""
    heads = {
        "ce_specversion": "1.0",
        **{f"ce_{k}": v for k, v in _CE.items()},
        "content-type": "application/json",
    }
    heads |= {k.replace("content_type", "content-type"): v for k, v in more.items()}
    return [(k, v.encode() if isinstance(v, str) else v) for k, v in heads.items() if v is not ...]


def _without(*names: str, **more: Any) -> dict[str, Any]:
    return {k: v for k, v in _event(**more).items() if k not in names}


def _refused(name: str, value: bytes | None, headers: list[tuple[str, bytes | None]], reason: str) -> Odd:
    return Odd(name, value, headers, calls=0, letters=(reason,))


_UTF16 = "UTF-16; convert it to UTF-8"
RECORDS = (
    Odd("bare", _json(PAIR), []),
    Odd("bare, charset", _json(PAIR), [("content-type", b"application/json; charset=utf-8")]),
    Odd("bare, byte order mark", b"\xef\xbb\xbf" + _json(PAIR), []),
    Odd("bare array", _json([PAIR, CALL]), [], calls=2),
    Odd("bare, encoded twice", _json(json.dumps(PAIR)), []),
    Odd("bare, NaN as Python writes it", _json(CALL)[:-1] + b', "cost_usd": NaN, "latency_s": Infinity}', []),
    Odd("bare, half an emoji", _json({**CALL, "messages": [{"role": "user", "content": "cut \ud83d"}]}), []),
    Odd(
        "bare, whole emoji",
        _json({**CALL, "messages": [{"role": "user", "content": "\U0001f600 \\ud83d"}]}),
        [],
    ),
    Odd("bare, seconds", _json({**PAIR, "time": SECONDS}), [], time=SECONDS),
    Odd("bare, milliseconds", _json({**PAIR, "time": int(SECONDS * 1e3)}), [], time=SECONDS),
    Odd("bare, microseconds", _json({**CALL, "time": int(SECONDS * 1e6)}), [], time=SECONDS),
    Odd("bare, nanoseconds as text", _json({**CALL, "time": str(int(SECONDS * 1e9))}), [], time=SECONDS),
    Odd("bare, RFC 3339", _json({**CALL, "time": TIME}), [], time=SECONDS),
    Odd("bare, no time", _json({**CALL, "time": None, "tenant": None, "usage": None}), []),
    Odd("bare, null header", _json(PAIR), [("content-type", None), ("traceparent", None)]),
    Odd("bare, speaks of envelopes", _json({**CALL, "metadata": {"specversion": "1.0"}}), []),
    Odd("binary", _json(PAIR), _binary(), time=SECONDS),
    Odd(
        "binary, charset", _json(PAIR), _binary(content_type="application/json; charset=UTF-8"), time=SECONDS
    ),
    Odd("binary, no content type", _json(PAIR), _binary(content_type=...), time=SECONDS),
    Odd("binary, upper case", _json(PAIR), [(k.upper(), v) for k, v in _binary()], time=SECONDS),
    Odd("binary, null header", _json(PAIR), [*_binary(), ("traceparent", None)], time=SECONDS),
    Odd("binary, null time", _json(PAIR), _binary(ce_time=None)),
    Odd("binary, lower case time", _json(PAIR), _binary(ce_time=TIME.lower()), time=SECONDS),
    Odd("binary, milliseconds", _json(PAIR), _binary(ce_time="1795935600000"), time=SECONDS),
    Odd("binary, leap second", _json(PAIR), _binary(ce_time="2016-12-31T23:59:60Z"), time=1483228800.0),
    Odd("structured", _json(_event()), _STRUCTURED, time=SECONDS),
    Odd(
        "structured, other case",
        _json(_event()),
        [("Content-Type", b"Application/CloudEvents+JSON")],
        time=SECONDS,
    ),
    Odd("structured, no content type", _json(_event()), [], time=SECONDS),
    Odd("structured, as plain JSON", _json(_event()), [("content-type", b"application/json")], time=SECONDS),
    Odd(
        "structured, with headers of binary mode", _json(_event()), [*_binary(content_type=...), *_STRUCTURED]
    ),
    Odd("structured, nulls", _json(_event(subject=None, dataschema=None)), _STRUCTURED),
    Odd("structured, data as text", _json(_event(data=json.dumps(PAIR))), _STRUCTURED),
    Odd(
        "structured, data_base64",
        _json(_without("data", data_base64=base64.b64encode(_json(PAIR)).decode())),
        _STRUCTURED,
    ),
    Odd("batch", _json([_event(id="a"), _event(id="b")]), _BATCH, calls=2, time=SECONDS),
    Odd("batch, no content type", _json([_event(id="a"), PAIR]), [], calls=2),
    Odd(
        "batch, one bad",
        _json([_event(id="a"), {"id": "x"}, _event(id="b")]),
        _BATCH,
        calls=2,
        letters=(r"\$\.specversion: is required but missing",),
    ),
    Odd("batch, empty", b"[]", _BATCH, calls=0),
    Odd("tombstone", None, [], calls=0),
    Odd("tombstone, headers of binary mode", None, _binary(), calls=0),
    Odd("tombstone, batch", None, _BATCH, calls=0),
    _refused("empty", b"", [], "got nothing"),
    _refused("blank", b" \n", [], "got nothing"),
    _refused("JSON null", b"null", [], "got null"),
    _refused("JSON number", b"12", [], "got a JSON int"),
    _refused("another object", b'{"order": 7, "sum": 9}', [], "got an object with order, sum"),
    _refused("UTF-16", json.dumps(PAIR).encode("utf-16"), [], _UTF16),
    _refused("UTF-16, no mark", json.dumps(PAIR).encode("utf-16-le"), [], _UTF16),
    _refused("UTF-16, structured", json.dumps(_event()).encode("utf-16"), _STRUCTURED, _UTF16),
    _refused(
        "Latin-1",
        json.dumps({**CALL, "model": "caf\u00e9"}, ensure_ascii=False).encode("latin-1"),
        [],
        "UTF-8",
    ),
    _refused(
        "schema registry",
        b"\x00" + struct.pack(">I", 7) + _json(PAIR),
        [],
        "Confluent wire format.*schema id 7",
    ),
    _refused("gzip", b"\x1f\x8b\x08\x00abcdef", [], "gzip"),
    _refused("Java", b"\xac\xed\x00\x05sr\x00\x04Call", [], "a serialized Java object"),
    _refused("cut off", _json(PAIR)[:-9], [], "truncated"),
    _refused("time 0", _json({**PAIR, "time": 0}), [], r"\$\.time: 0 stands for no time"),
    _refused("time before 1970", _json({**PAIR, "time": -5.0}), [], r"\$\.time: expected seconds"),
    _refused("time 1e300", _json({**CALL, "time": 1e300}), [], r"\$\.time: expected seconds"),
    _refused(
        "n of 31 digits", b'{"n": 1%b,' % (b"0" * 30) + _json(CALL)[1:], [], r"\$\.n: Expected `int` <="
    ),
    _refused("digits without end", b'{"n": 1%b,' % (b"0" * 9000) + _json(CALL)[1:], [], "."),
    _refused("depth without end", b'{"metadata": ' + b"[" * 90_000, [], "."),
    _refused(
        "structured, foreign type", _json(_event(type="com.shop.call")), _STRUCTURED, "unknown event type"
    ),
    _refused("structured, no type", _json(_without("type")), _STRUCTURED, r"\$\.type: is required"),
    _refused(
        "structured, bad base64", _json(_without("data", data_base64="%%")), _STRUCTURED, r"\$\.data_base64"
    ),
    _refused("binary, no id", _json(PAIR), _binary(ce_id=None), "header ce_id: is required"),
    _refused("binary, id no UTF-8", _json(PAIR), _binary(ce_id=b"\xff"), "header ce_id: expected UTF-8"),
    _refused(
        "binary, time of year 0", _json(PAIR), _binary(ce_time="0000-01-01T00:00:00Z"), "header ce_time"
    ),
)
