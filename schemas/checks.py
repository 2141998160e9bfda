"""Checks of one parameter of a request: may a surrogate answer with this value, and if not, why?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

CHOICES: Final = "choices"
LOGPROBS: Final = "logprobs"
TOOLS: Final = "tools"
MEDIA: Final = "media"
LOGIT_BIAS: Final = "logit_bias"
SEARCH: Final = "search"
PREDICTION: Final = "prediction"
STORE: Final = "store"
SERVICE_TIER: Final = "service_tier"
MODERATION: Final = "moderation"
REASONING: Final = "reasoning"
PARAMETER: Final = "parameter"
VENDOR_FIELD: Final = "vendor_field"
INVALID: Final = "invalid"
SAID: Final = {
    CHOICES: "more than one answer asked for",
    LOGPROBS: "log-probabilities asked for",
    TOOLS: "tools or functions may be called",
    MEDIA: "more than text in a message or asked for",
    LOGIT_BIAS: "tokens made likelier or ruled out",
    SEARCH: "searched for on the web or in documents",
    PREDICTION: "a draft of the answer given",
    STORE: "to be stored by the upstream",
    SERVICE_TIER: "another service tier",
    MODERATION: "moderation asked for",
    REASONING: "the model's reasoning asked for",
    PARAMETER: "a parameter that is not known or may change the answer",
    VENDOR_FIELD: "a message with a field that is not known",
    INVALID: "a value that an upstream refuses",
}
# the answer's text is the same: a person may say that nothing else of it matters to them
WAIVABLE: Final = frozenset([PREDICTION, STORE, SERVICE_TIER, MODERATION, REASONING, PARAMETER])
# the teacher's answer is one to another question: nothing is learned from it
FOREIGN: Final = frozenset([MEDIA, LOGIT_BIAS, SEARCH])

# longer ones no event carries
LONGEST_STOP: Final = 512
MOST_INT: Final = 2**31 - 1
_ROLES: Final = frozenset(["system", "developer", "user", "assistant", "tool", "function"])
# all that is known of a message beside its text; `cache_control` says what an upstream may keep
_OF_MESSAGES: Final = frozenset(
    ["role", "content", "name", "refusal", "tool_calls", "tool_call_id", "function_call", "cache_control"]
)
_OF_PARTS: Final = frozenset(["type", "text", "refusal", "cache_control"])
# an assistant's message may carry whatever a model said before; these ask it to go on from there
_BEGINNINGS: Final = ("prefix", "partial")
_SEARCHING: Final = ("-search-preview", "-search-api", "deep-research", ":online")

Check = Callable[[Any, Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is known of one parameter.

    Attributes
    ----------
    answered : str
        With which values a surrogate may answer, in words; null is none at all.
    reasons : tuple of str
        Why the teacher answers with any other.
    check : callable
        Of the value (never None) and the request: a reason, or nothing where a surrogate may answer.
    """

    answered: str
    reasons: tuple[str, ...]
    check: Check


def is_int(value: Any, low: int, high: int) -> bool:
    """Whether a value is a whole number within bounds; true is none."""
    return type(value) is int and low <= value <= high


def integer(low: int, high: int, words: str) -> Parameter:
    """A whole number within bounds."""
    return Parameter(words, (INVALID,), lambda v, _: "" if is_int(v, low, high) else INVALID)


def number(low: float, high: float, words: str, *, above: bool = False) -> Parameter:
    """A number within bounds, the lower of which may be left out."""

    def check(value: Any, _: Mapping[str, Any]) -> str:
        if type(value) is not int and type(value) is not float:
            return INVALID
        return "" if low <= value <= high and not (above and value == low) else INVALID

    return Parameter(words, (INVALID,), check)


def text(most: int = 512) -> Parameter:
    """Any text that is not too long."""

    def check(value: Any, _: Mapping[str, Any]) -> str:
        return "" if isinstance(value, str) and len(value) <= most else INVALID

    return Parameter(f"any text of at most {most} characters", (INVALID,), check)


def of_kind(kind: type, words: str) -> Parameter:
    """Any value of one type."""
    return Parameter(words, (INVALID,), lambda v, _: "" if isinstance(v, kind) else INVALID)


def word(*words: str, reason: str = INVALID) -> Parameter:
    """One of these words; another has its reason."""
    known = frozenset(words)

    def check(value: Any, _: Mapping[str, Any]) -> str:
        if not isinstance(value, str):
            return INVALID
        return "" if value in known else reason

    reasons = (INVALID,) if reason == INVALID else (reason, INVALID)
    return Parameter(" or ".join([f"`{w}`" for w in words]), reasons, check)


def switch(value: bool, reason: str) -> Parameter:
    """A switch that must stand as it does by default."""

    def check(given: Any, _: Mapping[str, Any]) -> str:
        if type(given) is not bool:
            return INVALID
        return "" if given is value else reason

    return Parameter(f"`{str(value).lower()}`", (reason, INVALID), check)


def never(reason: str) -> Parameter:
    """No value at all."""
    return Parameter("none", (reason,), lambda _, __: reason)


def empty(kind: type, reason: str, words: str) -> Parameter:
    """An empty list or object."""

    def check(value: Any, _: Mapping[str, Any]) -> str:
        if not isinstance(value, kind):
            return INVALID
        return reason if value else ""

    return Parameter(words, (reason, INVALID), check)


def model(value: Any, _: Mapping[str, Any]) -> str:
    """A name; models that search the web by themselves are told by it."""
    if not isinstance(value, str) or not value:
        return INVALID
    if any(part in value for part in _SEARCHING) or value.rpartition("/")[2].startswith("sonar"):
        return SEARCH
    return ""


def messages(value: Any, _: Mapping[str, Any]) -> str:
    """Messages of text, in which an upstream finds nothing wrong."""
    if not isinstance(value, list) or not value:
        return INVALID
    for message in value:
        if not isinstance(message, dict):
            return INVALID
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or role not in _ROLES:
            return INVALID
        if isinstance(content, str):
            pass
        elif content is None:
            if role != "assistant":
                return INVALID
        elif not isinstance(content, list) or not content:
            return INVALID
        else:
            for part in content:
                if not isinstance(part, dict):
                    return INVALID
                kind = part.get("type")
                if kind not in ("text", "refusal"):
                    return MEDIA
                if not isinstance(part.get(kind), str):
                    return INVALID
                if _holds_more(part, _OF_PARTS):
                    return VENDOR_FIELD
        if message.get("audio") or message.get("images"):
            return MEDIA
        if role == "assistant":
            if any(message.get(name) for name in _BEGINNINGS):
                return VENDOR_FIELD
        elif _holds_more(message, _OF_MESSAGES):
            return VENDOR_FIELD
    return ""


def _holds_more(given: Mapping[str, Any], known: frozenset[str]) -> bool:
    return not known.issuperset(given) and any(value for name, value in given.items() if name not in known)


def tools(value: Any, request: Mapping[str, Any]) -> str:
    """Tools that may not be called; an empty list is none at all."""
    if not isinstance(value, list):
        return INVALID
    return "" if not value or request.get("tool_choice") == "none" else TOOLS


def functions(value: Any, request: Mapping[str, Any]) -> str:
    """Functions that may not be called; an empty list is none at all."""
    if not isinstance(value, list):
        return INVALID
    return "" if not value or request.get("function_call") == "none" else TOOLS


def tool_choice(value: Any, request: Mapping[str, Any]) -> str:
    """No tool, and only where there are some: alone, an upstream refuses it."""
    if not request.get("tools"):
        return INVALID
    return "" if value == "none" else TOOLS


def function_call(value: Any, request: Mapping[str, Any]) -> str:
    """No function, and only where there are some."""
    if not request.get("functions"):
        return INVALID
    return "" if value == "none" else TOOLS


def parallel_tool_calls(value: Any, request: Mapping[str, Any]) -> str:
    """True or false, and only where there are tools."""
    return "" if type(value) is bool and request.get("tools") else INVALID


def stream_options(value: Any, request: Mapping[str, Any]) -> str:
    """Only for a stream; the usage at its end is what we give."""
    if not isinstance(value, dict) or request.get("stream") is not True:
        return INVALID
    for name, wanted in value.items():
        if name == "include_usage":
            if wanted is not None and type(wanted) is not bool:
                return INVALID
        elif wanted is not None and wanted is not False:
            return PARAMETER
    return ""


def limit(other: str) -> Check:
    """A limit on tokens; whether the answer keeps it is seen when there is one (`only_teacher.cut_short`)."""

    def check(value: Any, request: Mapping[str, Any]) -> str:
        alone = request.get(other) is None
        return "" if alone and is_int(value, 1, MOST_INT) else INVALID

    return check


def stop(value: Any, _: Mapping[str, Any]) -> str:
    """Sequences that end the answer; whether one occurs in it is seen when there is one."""
    sequences = [value] if isinstance(value, str) else value
    if not isinstance(sequences, list) or not 1 <= len(sequences) <= 4:
        return INVALID
    return "" if all(isinstance(s, str) and 0 < len(s) <= LONGEST_STOP for s in sequences) else INVALID


def modalities(value: Any, _: Mapping[str, Any]) -> str:
    """Text alone."""
    if not isinstance(value, list):
        return INVALID
    return "" if value == ["text"] else MEDIA


def choices(value: Any, _: Mapping[str, Any]) -> str:
    """One choice."""
    if not is_int(value, 1, 128):
        return INVALID
    return "" if value == 1 else CHOICES


def metadata(value: Any, _: Mapping[str, Any]) -> str:
    """An object of texts within OpenAI's bounds."""
    if not isinstance(value, dict):
        return INVALID
    fits = len(value) <= 16 and all(isinstance(v, str) and len(v) <= 512 for v in value.values())
    return "" if fits else PARAMETER


def response_format(value: Any, _: Mapping[str, Any]) -> str:
    """Any format: tasks differ by it."""
    return "" if isinstance(value, dict) and isinstance(value.get("type"), str) else INVALID


def chat_template(value: Any, _: Mapping[str, Any]) -> str:
    """Nothing but what keeps a model from thinking aloud."""
    if not isinstance(value, dict):
        return INVALID
    for name, wanted in value.items():
        if name not in ("enable_thinking", "thinking"):
            return PARAMETER
        if wanted is not False:
            return REASONING
    return ""


def thinking(value: Any, _: Mapping[str, Any]) -> str:
    """Anthropic's and DeepSeek's switch."""
    if not isinstance(value, dict):
        return INVALID
    return "" if value == {"type": "disabled"} else REASONING


def reasoning(value: Any, _: Mapping[str, Any]) -> str:
    """OpenRouter's: what was thought is not to be given."""
    if not isinstance(value, dict):
        return INVALID
    return "" if value.get("enabled") is False or value.get("exclude") is True else REASONING
