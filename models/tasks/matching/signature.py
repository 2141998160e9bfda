"""Computes what calls of one task share besides the template, and the one text a call is read as."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from jitr.models.tasks.matching.text import render
from jitr.schemas.calls import Call, Message
from jitr.schemas.tasks import Signature

_SYSTEM = frozenset(["system", "developer"])
_NO_TOOLS = (None, "", "[]")
_NO_FORMAT = (None, "", '{"type":"text"}')


class SignatureKey(NamedTuple):
    """A signature as a key of dicts, with the tenant: tasks of two keys never meet."""

    tenant: str
    model: str
    shape: str
    tools: str
    response_format: str


def digest(*parts: str) -> str:
    """Sixteen hexadecimal digits that say these texts, the same in every process.

    Examples
    --------
    >>> digest("a", "b") == digest("ab")
    False
    """
    state = blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.hexdigest()


def shape_of(messages: Sequence[Message]) -> str:
    """The shape of a conversation: whether a system prompt leads it, one user message or a chat, who speaks
    last.

    Few-shot turns and chat history have one shape whatever their length: their constant turns are part of
    the template.

    Examples
    --------
    >>> shape_of([Message(role="system", content="Be brief."), Message(role="user", content="Hi")])
    'system+user'
    """
    n = len(messages)
    if n == 1 and messages[0].role == "user":
        return "user"
    start = 1 if n and messages[0].role in _SYSTEM else 0
    lead = "system+" if start else ""
    if n - start == 1 and messages[start].role == "user":
        return lead + "user"
    if n == start:
        return "system" if start else "empty"
    last = messages[-1].role
    return f"{lead}chat" if last == "user" else f"{lead}chat+{last}"


def key_of(call: Call) -> SignatureKey:
    """The signature of a call, as a key; no tools and plain text are the same as none said.

    Examples
    --------
    >>> call = Call(id="1", model="m", time=0.0, messages=(), tools="[]", response_format='{"type":"text"}')
    >>> key_of(call)
    SignatureKey(tenant='default', model='m', shape='empty', tools='', response_format='')
    """
    return SignatureKey(
        call.tenant,
        call.model,
        shape_of(call.messages),
        "" if call.tools in _NO_TOOLS else digest(call.tools),
        "" if call.response_format in _NO_FORMAT else digest(call.response_format),
    )


def named_of(key: SignatureKey, name: str) -> SignatureKey:
    """The key of calls that their callers name: whatever their shape, not whatever their format and tools."""
    return key._replace(shape=f"named:{name}")


def record_of(key: SignatureKey) -> Signature:
    """A key as it stands in a task's record."""
    return Signature(model=key.model, shape=key.shape, tools=key.tools, response_format=key.response_format)


def key_of_task(tenant: str, signature: Signature) -> SignatureKey:
    """The key of a task's signature."""
    return SignatureKey(tenant, signature.model, signature.shape, signature.tools, signature.response_format)


def text_of(call: Call) -> str:
    """The text a call is matched and mined by: its messages rendered and normalised.

    Redaction comes before, in the call itself, where the settings ask for it.
    """
    return render(call.messages)
