"""What the router scores is what training learns: one input for every task, call, dialect and redaction."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from jitr.agents.task_call import task_call
from jitr.models.redaction.redaction import Redaction
from jitr.models.tasks.matching.matcher import Matcher
from jitr.models.tasks.matching.signature import key_of, record_of
from jitr.router.intake import Intake
from jitr.router.publishing.packing import encoded
from jitr.schemas.calls import Call, Response
from jitr.schemas.dialects import Origin, read_call
from jitr.schemas.dialects.openai import OpenAIPair
from jitr.schemas.events import BATCH, Event, decode_events
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Task, Template

SETTINGS = Settings()
REDACT = Redaction(SETTINGS)
INTAKE = Intake(SETTINGS, lambda: 1e9)
# few of them, so that templates overlap; the last are redacted
PIECES = (
    "Sort:",
    "Sort: mail",
    "mail",
    "Text:",
    "text",
    "from",
    "ann@example.org",
    "card 4111 1111 1111 1111",
)
OVERLAPPING = (Template(prefix="Sort:"), Template(prefix="Sort:", inner=("Text:",)))
piece = st.sampled_from(PIECES)
templates = st.lists(
    st.builds(
        Template,
        prefix=st.sampled_from(("Sort:", "Sort: mail", "Sort: mail from")),
        inner=st.lists(st.sampled_from(("Text:", "mail", "text")), max_size=2).map(tuple),
        suffix=st.sampled_from(("", "text", "Text:")),
    ),
    min_size=1,
    max_size=4,
    unique=True,
).map(tuple)
texts = st.lists(piece, min_size=1, max_size=8).map(" ".join)


def published(call: Call) -> Call:
    """The call as an agent reads it from the topic."""
    event = encoded(msgspec.structs.replace(call, response=Response(text="spam")), "/test", known=True)
    headers = [("content-type", BATCH.encode())]
    [found] = decode_events(b"[" + event + b"]", headers, fallback_id="", fallback_time=0.0)
    assert isinstance(found, Event)
    return REDACT.call(read_call(found))


@given(templates, texts, st.booleans(), st.booleans())
@example(
    (Template(prefix="Sort:"), Template(prefix="Sort:", inner=("Text:",))),
    "Sort: mail Text: text",
    False,
    False,
)
def test_the_input_that_is_scored_is_the_input_that_is_learned(
    made: tuple[Template, ...], text: str, named: bool, in_parts: bool
) -> None:
    content: Any = [{"type": "text", "text": text}] if in_parts else text
    request = {"model": "m", "messages": [{"role": "user", "content": content}]}
    name = "sorting" if named else None
    call = INTAKE.read(request, "c1", task=name)
    assert isinstance(call, Call)
    scored = INTAKE.redacted("c1", call)
    assert isinstance(scored, Call)
    task = Task(
        id="t1",
        tenant=scored.tenant,
        status="task",
        signature=record_of(key_of(scored)),
        templates=made,
        caller_name=name,
    )
    match = Matcher([task]).match(scored)
    learned = published(scored)
    # an agent takes the slots of its own match, or those of the task that the gateway's stamp names
    again = Matcher([task]).match(learned)
    assert (match is None) == (again is None)
    if match is None or again is None:
        return
    assert match.input == again.input == task_call(learned, task, {}, again.slots).input
    assert match.input == task_call(learned, task, {}).input
    # a log has the same call in another dialect
    pair = {"request": request, "response": {"choices": [{"message": {"content": "spam"}}]}, "task": name}
    logged = OpenAIPair().read(pair, Origin(id="c2", time=1e9, tenant=scored.tenant))
    assert task_call(REDACT.call(logged), task, {}).input == match.input
