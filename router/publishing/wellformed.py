"""Texts that can be written as UTF-8: a lone surrogate costs its character, never the call.

Headers bring them (aiohttp reads the byte ``\\xff`` as U+DCFF), JSON does (``"\\ud800"``), and so do programs
that cut a text in the middle of an emoji.
"""

from __future__ import annotations

import msgspec

from jitr.schemas.calls import Call
from jitr.schemas.lenient import whole


def wellformed(call: Call) -> Call:
    """The same call with U+FFFD for each lone surrogate (and pairs put together), in every text at any depth.

    Examples
    --------
    >>> wellformed(Call(id="c", model="m", messages=(), time=1.0, metadata={"k": "a\\udcffb"})).metadata
    {'k': 'a\ufffdb'}
    """
    return msgspec.convert(whole(msgspec.to_builtins(call)), Call)


def is_wellformed(call: Call) -> bool:
    """Whether every text of a request can be written.

    Examples
    --------
    >>> is_wellformed(Call(id="c", model="m", messages=(), time=1.0, task="\\udcff"))
    False
    """
    texts = [call.model, call.tenant, call.task, call.tools, call.response_format]
    for message in call.messages:
        texts += (message.content, message.role, message.name, message.tool_calls)
    for item in call.metadata.items():
        texts += item
    return all(_is_written(text) for text in texts if text)


def _is_written(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
