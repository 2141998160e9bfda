"""What a label is: the teacher's answer, whole, in words, to a call that did not fail. All else is none.

One rule for all who learn or judge: scan, fit, finding tasks, datasets, shadow runs and audits. What is no
label teaches nothing and speaks neither for a surrogate nor against it; it is counted by its reason.
"""

from __future__ import annotations

from enum import StrEnum

from jitr.schemas.calls import Call
from jitr.schemas.checks import FOREIGN

# how the providers say that an answer came to its own end
_ENDED = frozenset(("stop", "eos", "eos_token", "end_turn", "complete", "completed"))
_CUT = frozenset(("length", "max_tokens", "max_output_tokens", "model_length", "stop_sequence"))
_FILTERED = frozenset(("content_filter", "safety", "recitation", "refusal", "guardrail_intervened"))
_TOOLS = frozenset(("tool_calls", "tool_call", "function_call", "tool_use"))
_FAILED = frozenset(("error", "abort", "cancelled"))
_LEAST_ERROR = 400


class NoLabel(StrEnum):
    """Why an answer is no label: the word that metrics and `--json` use; `said` tells it to people.

    Examples
    --------
    >>> NoLabel.CUT_SHORT.value, NoLabel.CUT_SHORT.said
    ('cut_short', 'cut short by a limit or a stop sequence')
    """

    REFUSED = "refused"
    """The upstream refused the call: its HTTP status is 400 or more."""
    FAILED = "failed"
    """The call failed, or its answer could not be read or came with an error."""
    UNANSWERED = "unanswered"
    """There is no answer of the teacher."""
    CUT_SHORT = "cut_short"
    """A limit of tokens or a stop sequence ended it."""
    FILTERED = "filtered"
    """A filter ended it, or the model declined to answer."""
    TOOL_CALL = "tool_call"
    """Tools or functions are called where a text was due."""
    UNFINISHED = "unfinished"
    """Nothing says that it came to its end: the finish reason is null or unknown."""
    EMPTY = "empty"
    """It has no text, for example all of it stands in `reasoning_content`."""
    NOT_OF_TEXT = "not_of_text"
    """It rests on more than the text that was asked: on media, a search, or weights on tokens."""

    @property
    def said(self) -> str:
        """The reason in words."""
        return _SAID[self]


_SAID = {
    NoLabel.REFUSED: "refused by the LLM's server",
    NoLabel.FAILED: "failed",
    NoLabel.UNANSWERED: "without an answer",
    NoLabel.CUT_SHORT: "cut short by a limit or a stop sequence",
    NoLabel.FILTERED: "filtered or declined",
    NoLabel.TOOL_CALL: "tool or function calls",
    NoLabel.UNFINISHED: "without a finish reason that says they ended",
    NoLabel.EMPTY: "without text",
    NoLabel.NOT_OF_TEXT: "resting on media, a search or weights on tokens",
}


def has_text(text: str) -> bool:
    """Whether a text holds anything that can be seen.

    Examples
    --------
    >>> has_text("no"), has_text(" \\n"), has_text("\\u200b")
    (True, False, False)
    """
    return any(c.isprintable() and not c.isspace() for c in text)


def no_label(call: Call) -> NoLabel | None:
    """Why the answer of a call is no label; None where it is one.

    Examples
    --------
    >>> from jitr.schemas.calls import Message, Response
    >>> def call(text="yes", **fields):
    ...     said = Response(text=text, finish_reason=fields.pop("finish", "stop"))
    ...     return Call(id="c", model="m", messages=(), time=0.0, response=said, **fields)
    >>> no_label(call()) is None, no_label(call("")).value, no_label(call(finish="length")).value
    (True, 'empty', 'cut_short')
    >>> no_label(call(status=401)).value, no_label(call(error="reset")).value
    ('refused', 'failed')
    """
    if call.status is not None and call.status >= _LEAST_ERROR:
        return NoLabel.REFUSED
    if call.error is not None:
        return NoLabel.FAILED
    response = call.response
    if response is None:
        return NoLabel.UNANSWERED
    finish = response.finish_reason.lower()
    if finish in _CUT:
        return NoLabel.CUT_SHORT
    if finish in _FILTERED:
        return NoLabel.FILTERED
    if finish in _FAILED:
        return NoLabel.FAILED
    if finish in _TOOLS or response.tool_calls is not None:
        return NoLabel.TOOL_CALL
    if not has_text(response.text):
        return NoLabel.EMPTY
    if not FOREIGN.isdisjoint(call.only_teacher.values()):
        return NoLabel.NOT_OF_TEXT
    return None if finish in _ENDED else NoLabel.UNFINISHED


def label_text(call: Call) -> str | None:
    """The answer of a call as it was written, where it is a label."""
    return call.response.text if call.response is not None and no_label(call) is None else None
