"""Every text of a call: they are read as one, so that what its parts divide is found, and put back."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

import msgspec

from jitr.schemas.calls import Call

# what stands before a text that does not go on from the one before, as no pattern holds it: a name, or prose
APART: Final = " \0 "
_PROSE: Final = " \0\0 "
# the first token of an answer is no secret, unless it is longer than tokens are
_LONGEST_TOKEN: Final = 8

Take = Callable[[str, str], str]
Rewrite = Callable[[list[str], list[str]], list[str]]
_replace = msgspec.structs.replace


def rewritten(call: Call, visit: Callable[[Call, Take], Call], rewrite: Rewrite) -> Call:
    """A call whose texts were rewritten, all at once; the call itself where nothing changes.

    Parameters
    ----------
    call : Call
    visit : callable
        `request`, `answer` or `whole`.
    rewrite : callable
        From texts, and what stands before each, to as many texts.
    """
    texts, before = collected(call, visit)
    made = rewrite(texts, before)
    if made == texts:
        return call
    back = iter(made)
    return visit(call, lambda text, gap: next(back))


def collected(call: Call, visit: Callable[[Call, Take], Call]) -> tuple[list[str], list[str]]:
    """The texts that a visit takes, and what stands before each, in its order, without making a call anew."""
    texts: list[str] = []
    before: list[str] = []

    def take(text: str, gap: str) -> str:
        texts.append(text)
        before.append(gap)
        return text

    if visit is answer:
        answer(call, take)
        return texts, before
    # a request has many texts, and most of them are empty
    messages = call.messages
    texts += [m.content for m in messages]
    before += ["\n"] * len(messages)
    for m in messages:
        take(m.role, APART)
        if m.name:
            take(m.name, APART)
        if m.tool_calls:
            take(m.tool_calls, _PROSE)
    take(call.id, APART)
    take(call.model, APART)
    for text in (call.tools, call.tool_choice, call.response_format):
        if text:
            take(text, APART)
    for name, why in call.only_teacher.items():
        take(name, APART)
        take(why, ": ")
    for text in call.stop:
        take(text, APART)
    if call.task:
        take(call.task, APART)
    for name, value in call.metadata.items():
        take(name, APART)
        take(value, ": ")
    if visit is whole and not (call.response is None and call.decision is None and call.error is None):
        answer(call, take)
    return texts, before


def length(call: Call) -> int:
    """Characters in all texts of a call.

    Examples
    --------
    >>> from jitr.schemas.calls import Message
    >>> length(Call(id="1", model="m", time=0.0, messages=(Message(role="user", content="Hi"),)))
    8
    """
    return sum(map(len, collected(call, whole)[0]))


def whole(call: Call, take: Take) -> Call:
    """Visit all texts of a call."""
    return answer(request(call, take), take)


def request(call: Call, take: Take) -> Call:
    """Visit what was asked, contents first, as one may go on in the next; a tenant is nobody's secret."""
    contents = [take(m.content, "\n") for m in call.messages]
    messages = tuple(
        [
            _replace(
                m,
                content=content,
                role=take(m.role, APART),
                name=_may(m.name, take),
                tool_calls=_may(m.tool_calls, take, _PROSE),
            )
            for m, content in zip(call.messages, contents, strict=True)
        ]
    )
    return _replace(
        call,
        messages=messages,
        id=_id(call.id, take),
        model=take(call.model, APART),
        tools=_may(call.tools, take),
        tool_choice=_may(call.tool_choice, take),
        response_format=_may(call.response_format, take),
        only_teacher={take(name, APART): take(why, ": ") for name, why in call.only_teacher.items()},
        stop=tuple([take(stop, APART) for stop in call.stop]),
        task=_may(call.task, take),
        # a name says what its value is
        metadata={take(name, APART): take(value, ": ") for name, value in call.metadata.items()},
    )


def answer(call: Call, take: Take) -> Call:
    """Visit what was answered: by the teacher, by a surrogate, or by an error."""
    response, decision = call.response, call.decision
    if response is not None:
        opening = response.opening
        if any(len(token) > _LONGEST_TOKEN for token in opening):
            opening = {take(token, APART): share for token, share in opening.items()}
        response = _replace(
            response,
            text=take(response.text, _PROSE),
            tool_calls=_may(response.tool_calls, take, _PROSE),
            model=take(response.model, APART),
            fingerprint=take(response.fingerprint, APART),
            finish_reason=take(response.finish_reason, APART),
            opening=opening,
        )
    if decision is not None:
        decision = _replace(
            decision,
            answer=_may(decision.answer, take, _PROSE),
            label=_may(decision.label, take, _PROSE),
            reason=take(decision.reason, APART),
        )
    return _replace(call, response=response, decision=decision, error=_may(call.error, take, _PROSE))


def _may(text: str | None, take: Take, gap: str = APART) -> str | None:
    return take(text, gap) if text else text


def _id(id: str, take: Take) -> str:
    """An id stays one of its own: what is replaced in it is told apart by a digest."""
    found = take(id, APART)
    return (
        found
        if found == id
        else f"{found}-{blake2b(id.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}"
    )
