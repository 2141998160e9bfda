"""Every text of a call: they are read as one, so that what its parts divide is found, and put back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Parts:
    """Which texts of a call are looked at.

    Attributes
    ----------
    asked, answered : bool
        The request's; the answers' and the errors'.
    id : bool
        The call's id: one that the router drew holds nothing of anybody's, and is none of a request's texts.
    """

    asked: bool = True
    answered: bool = True
    id: bool = True


WHOLE: Final = Parts()
OWN_ID: Final = Parts(id=False)
ANSWERED: Final = Parts(asked=False)


def rewritten(call: Call, parts: Parts, rewrite: Rewrite) -> Call:
    """A call whose texts were rewritten, all at once; the call itself where nothing changes.

    Parameters
    ----------
    call : Call
    parts : Parts
    rewrite : callable
        From texts, and what stands before each, to as many texts.
    """
    texts, before = collected(call, parts)
    made = rewrite(texts, before)
    if made == texts:
        return call
    back = iter(made)
    return visited(call, parts, lambda text, gap: next(back))


def collected(call: Call, parts: Parts) -> tuple[list[str], list[str]]:
    """Texts of a call, and what stands before each, in the order of `visited`, without making it anew."""
    texts: list[str] = []
    before: list[str] = []

    def take(text: str, gap: str) -> str:
        texts.append(text)
        before.append(gap)
        return text

    if parts.asked:
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
        if parts.id:
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
    if parts.answered:
        said, decision = call.response, call.decision
        if said is not None:
            take(said.text, _PROSE)
            if said.tool_calls:
                take(said.tool_calls, _PROSE)
            take(said.model, APART)
            take(said.fingerprint, APART)
            take(said.finish_reason, APART)
            for token in _long(said.opening):
                take(token, APART)
        if decision is not None:
            if decision.answer:
                take(decision.answer, _PROSE)
            if decision.label:
                take(decision.label, _PROSE)
            take(decision.reason, APART)
        if call.error:
            take(call.error, _PROSE)
    return texts, before


def length(call: Call) -> int:
    """Characters in all texts of a call but its id.

    Examples
    --------
    >>> from jitr.schemas.calls import Message
    >>> length(Call(id="1", model="m", time=0.0, messages=(Message(role="user", content="Hi"),)))
    7
    """
    size = len(call.model) + len(call.tools or "") + len(call.tool_choice or "") + len(call.task or "")
    size += len(call.response_format or "") + sum(map(len, call.stop))
    for m in call.messages:
        size += len(m.role) + len(m.content) + len(m.name or "") + len(m.tool_calls or "")
    for named in (call.only_teacher, call.metadata):
        for name, value in named.items():
            size += len(name) + len(value)
    if call.response is None and call.decision is None and call.error is None:
        return size
    return size + sum(map(len, collected(call, ANSWERED)[0]))


def visited(call: Call, parts: Parts, take: Take) -> Call:
    """The call, each text of these parts replaced by what is given for it and for what stands before it."""
    if parts.asked:
        call = _request(call, take, parts.id)
    return _answer(call, take) if parts.answered else call


def _request(call: Call, take: Take, with_id: bool) -> Call:
    # contents first, as one may go on in the next; a tenant is nobody's secret
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
        id=_id(call.id, take) if with_id else call.id,
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


def _answer(call: Call, take: Take) -> Call:
    response, decision = call.response, call.decision
    if response is not None:
        response = _replace(
            response,
            text=take(response.text, _PROSE),
            tool_calls=_may(response.tool_calls, take, _PROSE),
            model=take(response.model, APART),
            fingerprint=take(response.fingerprint, APART),
            finish_reason=take(response.finish_reason, APART),
            opening={take(token, APART): share for token, share in _long(response.opening).items()}
            or response.opening,
        )
    if decision is not None:
        decision = _replace(
            decision,
            answer=_may(decision.answer, take, _PROSE),
            label=_may(decision.label, take, _PROSE),
            reason=take(decision.reason, APART),
        )
    return _replace(call, response=response, decision=decision, error=_may(call.error, take, _PROSE))


def _long(opening: dict[str, float]) -> dict[str, float]:
    """The first tokens of an answer, where one of them may be a secret; else none."""
    return opening if opening and max(map(len, opening)) > _LONGEST_TOKEN else {}


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
