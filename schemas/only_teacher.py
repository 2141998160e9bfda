"""Requests that only the teacher can answer: one rule for the router, the agents and a scan of a log.

A surrogate gives one short text, as the teacher tends to write it. Whatever else a request asks for, whatever
may change the answer in a way that was not learned, and whatever an upstream refuses, is the teacher's. The
rule for each parameter stands in `jitr.schemas.parameters`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from jitr.schemas.calls import Call
from jitr.schemas.checks import CHOICES, LOGPROBS, PARAMETER, TOOLS, WAIVABLE
from jitr.schemas.parameters import PARAMETERS
from jitr.schemas.tokens import most_tokens

MAX_TOKENS: Final = "max_tokens"
STOP: Final = "stop"
_MOST_NAMED: Final = 8
# what has no such name is not repeated, as it may be anything; and no setting waives it
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}")
_UNNAMED: Final = "?"


def only_teacher(request: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a chat completion request for which only the teacher can answer it.

    Parameters
    ----------
    request : mapping
        The request's body, decoded; nothing is taken for granted of it.

    Returns
    -------
    dict of str to str
        Parameter and reason, at most nine; empty where a surrogate may answer.

    Examples
    --------
    >>> only_teacher({"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0})
    {}
    >>> only_teacher({"n": 2, "temperature": 5, "seed": 1, "think_twice": True})
    {'n': 'choices', 'temperature': 'invalid', 'think_twice': 'parameter'}
    """
    found: dict[str, str] = {}
    for name, value in request.items():
        rule = PARAMETERS.get(name)
        if rule is None:
            reason = PARAMETER
            name = name if isinstance(name, str) and _NAME.fullmatch(name) else _UNNAMED
        elif value is None:
            continue
        else:
            reason = rule.check(value, request)
        if reason:
            found[name] = reason
            if len(found) > _MOST_NAMED:
                found[_UNNAMED] = PARAMETER
                break
    return found


def why(call: Call | Mapping[str, str], harmless: Collection[str] = ()) -> tuple[str, str] | None:
    """Why only the teacher can answer a call: the reason and the parameter; None where a surrogate may.

    Parameters
    ----------
    call : Call, or what `only_teacher` says of a request
    harmless : collection of str
        Parameters that change nothing, as ``gateway.harmless`` names them; see `may_be_waived`.

    Examples
    --------
    >>> from jitr.schemas.calls import Message
    >>> call = Call(id="1", model="m", time=0.0, messages=(Message(role="user", content="hi"),),
    ...             only_teacher={"think_twice": "parameter"})
    >>> why(call), why(call, ["think_twice"])
    (('parameter', 'think_twice'), None)
    """
    for reason, name in _reasons(call):
        if name not in harmless or reason not in WAIVABLE or name == _UNNAMED:
            return reason, name
    return None


def _reasons(call: Call | Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, reason in (call.only_teacher if isinstance(call, Call) else call).items():
        yield reason, name
    if not isinstance(call, Call):
        return
    # a call that was published in canonical form says it by its fields
    if call.n > 1:
        yield CHOICES, "n"
    if call.logprobs:
        yield LOGPROBS, "logprobs"
    if call.tools and call.tool_choice != "none":
        yield TOOLS, "tools"


def may_be_waived(name: str) -> bool:
    """Whether a setting may declare a parameter harmless: none may that a surrogate can't do justice to.

    Examples
    --------
    >>> may_be_waived("service_tier"), may_be_waived("of_a_vendor"), may_be_waived("n")
    (True, True, False)
    """
    rule = PARAMETERS.get(name)
    return name != _UNNAMED and (rule is None or bool(WAIVABLE.intersection(rule.reasons)))


def cut_short(text: str, max_tokens: int | None, stop: Collection[str] = ()) -> str:
    """Why the teacher would have had to end this answer early: `MAX_TOKENS` or `STOP`; empty where not.

    Parameters
    ----------
    text : str
        A surrogate's answer.
    max_tokens : int, optional
        Most tokens the caller takes; the answer's are counted high.
    stop : collection of str
        Sequences at which the teacher would stop.

    Examples
    --------
    >>> cut_short("billing", None), cut_short("billing", 1), cut_short("a; b", 16, [";"])
    ('', 'max_tokens', 'stop')
    """
    if max_tokens is not None and most_tokens(text) > max_tokens:
        return MAX_TOKENS
    return STOP if any(sequence in text for sequence in stop) else ""
