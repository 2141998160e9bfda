"""Brings an answer to its normal form, in which equal answers are equal texts."""

import re
from typing import Any

import msgspec

_FENCE = re.compile(r"\A```[\w+-]*+[ \t]*+\n?+([\s\S]*?)\n?```\Z")  # possessive: or it is quadratic
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_LEAD = re.compile(
    r"(?:the |my |its |this )?(?:final |correct |best |predicted |most likely )?"
    r"(?:answer|label|category|class|classification|sentiment|intent|topic|language|priority|urgency|type|output|result"
    r"|response|value|score|rating)(?: (?:is|would be|should be)|:| =| -)\s*:?\s*",
)
_EDGES = " \t\r\n\"'`*_.,;:!。！‘’“”«»"
_WORD = re.compile("[A-Za-z]{1,40}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?")
_LONGEST_LABEL = 200
_FEW_WORDS = 12
_encode = msgspec.json.Encoder(order="sorted").encode


def unfenced(answer: str) -> str:
    """The inside of a code fence, else the answer; without white space around it."""
    answer = answer.strip()
    if answer.startswith("```") and answer.endswith("```") and len(answer) > 6:
        found = _FENCE.match(answer)
        if found:
            return found.group(1).strip()
    return answer


def json_of(answer: str) -> dict[str, Any] | None:
    """The JSON object that an answer is, or None."""
    text = answer.strip()
    if text[:1] == "`":
        text = unfenced(text)
    if text[:1] != "{" or text[-1:] != "}":
        return None
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def canonical_json(value: dict[str, Any]) -> str:
    """A JSON object with sorted keys and no blanks; whole floats become integers, strings lose blanks at
    their ends.

    Examples
    --------
    >>> canonical_json({"b": " x ", "a": 1.0})
    '{"a":1,"b":"x"}'
    """
    return _encode(_plain(value)).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k.strip(): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def number_of(answer: str) -> str | None:
    """The number that an answer is, in its plainest form, or None.

    Examples
    --------
    >>> number_of("1,200.0"), number_of("about 3")
    ('1200', None)
    """
    text = answer.strip(_EDGES)
    if not text[:1] or text[-1] not in "0123456789" or len(text) > 40 or not _NUMBER.fullmatch(text):
        return None
    text = text.replace(",", "").lstrip("+")
    if text.endswith(".0"):
        text = text[:-2]
    return text


def normal(answer: str) -> str:
    """The normal form of an answer.

    JSON objects: canonical. Everything else: without code fence, quotes, emphasis and punctuation around
    it, without
    a lead such as "The category is", without case; white space folded. A long text keeps its words.

    Parameters
    ----------
    answer : str
        The teacher's text as it came.

    Returns
    -------
    str
        Its normal form; the normal form of that is itself.

    Examples
    --------
    >>> normal(" The category is **Billing**. ")
    'billing'
    >>> normal('```json\\n{"b": 1, "a": "x"}\\n```')
    '{"a":"x","b":1}'
    >>> normal("4.")
    '4'
    """
    if _WORD.fullmatch(answer):
        return answer.casefold()
    value = json_of(answer)
    if value is not None:
        try:
            return canonical_json(value)
        except (ValueError, TypeError, RecursionError, UnicodeError):
            pass
    text = unfenced(answer)
    if len(text) > _LONGEST_LABEL:
        return " ".join(text.split()).casefold()
    previous = None
    while text != previous:
        previous = text
        text = _unwrapped(text)
    return number_of(text) or text


def _unwrapped(text: str) -> str:
    text = " ".join(text.split())
    bold = _BOLD.findall(text)
    if len(bold) == 1 and len(text.split()) <= _FEW_WORDS:
        text = bold[0]
    text = text.strip(_EDGES).casefold()
    found = _LEAD.match(text)
    if found and len(text) - found.end() > 0 and len(text.split()) <= _FEW_WORDS:
        text = text[found.end() :]
    return text


def terse(answer: str) -> str | None:
    """The normal form of an answer of few words or of a JSON object, None for prose: what a closed question
    brings.
    """
    text = answer.strip()
    if len(text) > 400 or (len(text) > 80 and text[:1] not in "{`"):
        return None
    if ("\n" in text or len(text) > 80 or text.count(" ") >= _FEW_WORDS) and json_of(text) is None:
        return None
    return normal(text)[:200]
