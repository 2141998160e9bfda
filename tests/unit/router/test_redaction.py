"""Calls are redacted once, before anything reads them, and long ones beside the event loop."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jitr.models.redaction.redaction import Redaction
from jitr.models.tasks.matching.matcher import Matcher
from jitr.router import intake as module
from jitr.router.intake import LONG, LONGEST, MOST_LONG
from jitr.router.publishing.events import EventStream
from jitr.router.reasons import Reason
from jitr.router.router import Router
from jitr.router.snapshot import View
from jitr.schemas.calls import Call, Message, Response
from jitr.schemas.settings import Settings


class Kept(list[tuple[Call, bool]]):
    keeping = True

    def missed(self, why: str) -> None: ...

    def publish(self, call: Call, *, redacted: bool = False) -> bool:
        self.append((call, redacted))
        return True


class Empty:
    def view(self, tenant: str) -> View:
        return View(Matcher(()), {})


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def router(kept: Kept) -> Router:
    return Router(Settings(), Empty(), kept)  # type: ignore[arg-type]


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


async def test_what_is_published_was_redacted_before_the_match(router: Router, kept: Kept) -> None:
    request = asked("I am ann@example.org", metadata={"ann@example.org": "1"}, user="x")
    decision = await router.answer(request, task="for ann@example.org")
    assert decision.call is not None and decision.call.messages[0].content == "I am [email]"
    router.report(decision, None, error="no such key: sk-abcdefghijklmnop1234")
    [(call, redacted)] = kept
    # the answer and the error came later: whoever publishes looks at them
    assert redacted and "example.org" not in str(call)


@pytest.mark.parametrize("part", ["content", "tools", "response_format", "metadata", "tool_calls", "name"])
async def test_the_bound_on_length_counts_every_text(router: Router, part: str) -> None:
    def request(n: int) -> dict[str, Any]:
        text = "y" * n
        message: dict[str, Any] = {"role": "user", "content": text if part == "content" else "x"}
        more: dict[str, Any] = {}
        if part == "tools":
            more["tools"] = [{"type": "function", "function": {"name": "f", "description": text}}]
        elif part == "response_format":
            more["response_format"] = {"type": "json_schema", "json_schema": {"name": text}}
        elif part == "metadata":
            more["metadata"] = {"k": text}
        elif part == "tool_calls":
            message["tool_calls"] = [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": text}}
            ]
        elif part == "name":
            message["name"] = text
        return {"model": "m", "messages": [message], **more}

    assert (await router.answer(request(LONGEST + 1))).reason is Reason.TOO_LONG
    assert (await router.answer(request(LONGEST // 2))).reason is not Reason.TOO_LONG


@pytest.mark.parametrize(("extra", "beside"), [(0, False), (1, True)])
async def test_long_texts_are_redacted_beside_the_event_loop(
    router: Router, monkeypatch: pytest.MonkeyPatch, extra: int, beside: bool
) -> None:
    threads = []
    redact = Redaction.call

    def spy(self: Redaction, call: Call, **options: bool) -> Call:
        threads.append(threading.current_thread() is threading.main_thread())
        return redact(self, call, **options)

    monkeypatch.setattr(Redaction, "call", spy)
    monkeypatch.setattr(module, "length", lambda call: LONG + extra)
    decision = await router.answer(asked("I am ann@example.org"))
    assert decision.call is not None and decision.call.messages[0].content == "I am [email]"
    assert threads == [not beside]


async def test_only_so_many_long_calls_wait_and_the_others_go_to_the_teacher(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    let = threading.Event()
    redact = Redaction.call

    def slow(self: Redaction, call: Call, **options: bool) -> Call:
        let.wait(30)
        return redact(self, call, **options)

    monkeypatch.setattr(Redaction, "call", slow)
    long = asked("a b " * LONG)
    waiting = [asyncio.create_task(router.answer(long)) for _ in range(MOST_LONG)]
    await asyncio.sleep(0)
    assert (await router.answer(long)).reason is Reason.BUSY
    let.set()
    assert {d.reason for d in await asyncio.gather(*waiting)} <= {Reason.NO_TASK, Reason.TOO_LONG}
    await router.close()
    assert (await router.answer(long)).reason is Reason.FAILED


@pytest.mark.parametrize(
    ("redacted", "request_left"), [(False, "I am [email]"), (True, "I am ann@example.org")]
)
async def test_what_is_redacted_is_not_redacted_again_and_what_came_later_is(
    tmp_path: Path, redacted: bool, request_left: str
) -> None:
    settings = Settings.load(
        environ={"JITR_STATE__ROOT": str(tmp_path), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    )
    stream = EventStream(settings)
    await stream.start()
    messages = (Message(role="user", content="I am ann@example.org"),)
    call = Call(id="1", model="m", time=1.0, messages=messages, response=Response(text="Hi ann@example.org"))
    stream.publish(msgspec.structs.replace(call, error="key sk-abcdefghijklmnop1234"), redacted=redacted)
    await stream.stop()
    raw = b"".join(p.read_bytes() for p in tmp_path.rglob("*.spool"))
    assert (b"I am " in raw) and request_left.encode() in raw
    assert b'"Hi [email]"' in raw and b'"key [key]"' in raw and b"Hi ann@" not in raw
