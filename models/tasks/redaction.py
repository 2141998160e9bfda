"""Redaction: e-mail addresses, phone and card numbers, keys and tokens leave a text before anyone keeps it.

One function for publishers, detect and the surrogate's input, so that training and serving see the same text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from jitr.models.tasks.names import Names
from jitr.schemas.calls import Call
from jitr.schemas.settings import Settings

# every repetition is bounded and begins where nothing of its kind stands before it: time stays linear
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}(?:'[\w.+%-]{1,64})?@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_LOGIN = re.compile(r"(?<=://)[^\s/@:]{1,64}:[^\s/@]{1,128}@")
_KEY = re.compile(
    r"""(?x)
    -----BEGIN[ ][A-Z ]{0,30}PRIVATE[ ]KEY-----[\s\S]{0,8000}?-----END[ ][A-Z ]{0,30}PRIVATE[ ]KEY-----
    | (?<![A-Za-z0-9])(?:
        (?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,}
      | A[KS]IA[0-9A-Z]{16} | AIza[0-9A-Za-z_-]{30,} | hf_[A-Za-z0-9]{20,} | glpat-[A-Za-z0-9_-]{16,}
      | npm_[A-Za-z0-9]{30,} | pypi-[A-Za-z0-9_-]{20,} | dop_v1_[a-f0-9]{20,} | whsec_[A-Za-z0-9]{16,}
      | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,} | ya29\.[A-Za-z0-9_-]{16,}
      | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*
      | [Bb]earer\ +[A-Za-z0-9._~+/-]{16,}=*
    )
    """
)
# what is given to a name of this kind, if a digit is in it: "password: required" is prose
_ASSIGNED = re.compile(
    r"""(?xi)
    (?<![a-z])
    ((?:api[_-]?key|access[_-]?key|secret(?:[_-]?key)?|token|passw(?:or)?d|pwd)["']?\s{0,3}[:=]\s{0,3}["']?)
    (?=[^\s"',;&\[]{0,100}[0-9])
    [^\s"',;&\[]{8,200}
    """
)
_SEVEN_DIGITS = re.compile(r"[0-9](?:[ ()./-]{0,2}[0-9]){6}")
_LONG_NUMBER = re.compile(r"(?<![\w.-])[0-9](?:[ -]?[0-9]){12,18}(?![\w-])")
_IBAN = re.compile(r"(?i)(?<!\w)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_PHONE = re.compile(
    r"(?<![\w+.-])"
    r"(?:\+[0-9](?:[ ().-]{0,2}[0-9]){7,14}|(?:1[ .-])?\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4})"
    r"(?!\w)"
)
# within a country: a zero, then groups with one thing between them
_TRUNK = re.compile(
    r"(?<![\w.,+/-])\(?0[0-9]{1,4}\)?"
    r"(?:/[0-9]{3,8}(?:[ -][0-9]{1,5}){0,2}|([ -])[0-9]{2,8}(?:\1[0-9]{2,5}){0,4})(?![\w/])"
)
_SSN = re.compile(r"(?<![\w-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![\w-])")
_JOINED = (
    "sk-",
    "sk_",
    "pk-",
    "pk_",
    "rk-",
    "rk_",
    "gh",
    "github_pat_",
    "xox",
    "hf_",
    "glpat-",
    "npm_",
    "pypi-",
    "dop_v1_",
    "whsec_",
)
_BARE = ("AKIA", "ASIA", "AIza", "eyJ", "earer ", "PRIVATE KEY", "SG.", "ya29.")
_NAMED = ("key", "KEY", "Key", "ecret", "ECRET", "oken", "OKEN", "assw", "ASSW", "pwd", "PWD")
_MOST_PASSES = 4


def redact(text: str) -> str:
    """Replace what identifies or unlocks by a word in brackets.

    Most texts hold nothing of the kind and cost a few scans.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The text with ``[email]``, ``[phone]``, ``[card]``, ``[iban]``, ``[ssn]`` and ``[key]`` in the place
        of what was
        found; redacting it again changes nothing.

    Examples
    --------
    >>> redact("Write to ann.lee@example.org or call +49 30 901820, card 4111 1111 1111 1111.")
    'Write to [email] or call [phone], card [card].'
    >>> redact("key sk-abcdefghijklmnop1234")
    'key [key]'
    >>> redact("Order 2024-05-17 of 12 pears")
    'Order 2024-05-17 of 12 pears'
    """
    for _ in range(_MOST_PASSES):
        found = _once(text)
        if found == text:
            break
        text = found  # what a replacement lays bare is looked at again
    return text


def _once(text: str) -> str:
    if "@" in text:
        if "://" in text:
            text = _LOGIN.sub("[key]@", text)
        text = _EMAIL.sub("[email]", text)
    # the searches that are cheap rule out those that are not
    if any(k in text for k in _BARE) or (("_" in text or "-" in text) and any(k in text for k in _JOINED)):
        text = _KEY.sub("[key]", text)
    if ("=" in text or ":" in text) and any(k in text for k in _NAMED):
        text = _ASSIGNED.sub(r"\1[key]", text)
    if _SEVEN_DIGITS.search(text):
        text = _LONG_NUMBER.sub(_card, text)
        text = _IBAN.sub(_iban, text)
        text = _SSN.sub("[ssn]", text)
        text = _TRUNK.sub(_trunk, _PHONE.sub("[phone]", text))
    return text


def _card(found: re.Match[str]) -> str:
    """A number that passes the check sum of payment cards (Luhn, 1960)."""
    digits = [int(c) for c in found.group() if c.isdigit()]
    doubled = [d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(reversed(digits))]
    return "[card]" if sum(doubled) % 10 == 0 else found.group()


def _iban(found: re.Match[str]) -> str:
    """A number that passes the check of ISO 13616: moved round and read in base 36, it is 1 modulo 97."""
    text = found.group().replace(" ", "")
    if not text.isascii():
        return found.group()
    digits = "".join([str(int(c, 36)) for c in text[4:] + text[:4]])
    return "[iban]" if int(digits) % 97 == 1 else found.group()


def _trunk(found: re.Match[str]) -> str:
    """As many digits as a telephone number has."""
    return "[phone]" if 9 <= sum(c.isdigit() for c in found.group()) <= 15 else found.group()


def redact_call(call: Call, clean: Callable[[str], str] = redact) -> Call:
    """A call with every text in it redacted: messages, answers, metadata.

    Parameters
    ----------
    call : Call
    clean : callable
        What is done to each text.

    Examples
    --------
    >>> from jitr.schemas.calls import Message
    >>> call = Call(id="1", model="m", time=0.0, messages=(Message(role="user", content="I am a@b.org"),))
    >>> redact_call(call).messages[0].content
    'I am [email]'
    """
    messages = tuple(
        [
            msgspec.structs.replace(
                m,
                content=clean(m.content),
                tool_calls=clean(m.tool_calls) if m.tool_calls else m.tool_calls,
            )
            for m in call.messages
        ]
    )
    response, decision = call.response, call.decision
    if response is not None:
        calls = clean(response.tool_calls) if response.tool_calls else response.tool_calls
        response = msgspec.structs.replace(response, text=clean(response.text), tool_calls=calls)
    if decision is not None and decision.answer is not None:
        decision = msgspec.structs.replace(decision, answer=clean(decision.answer))
    metadata = {name: clean(value) for name, value in call.metadata.items()}
    return msgspec.structs.replace(
        call, messages=messages, response=response, decision=decision, metadata=metadata
    )


class Redaction:
    """What every part of jitr does to a text before it keeps it, by the settings.

    Make it once: a pipeline that finds names takes a second to load.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    ConfigError
        Names are to be redacted, and what finds them is not installed.

    Examples
    --------
    >>> Redaction(Settings()).text("I am a@b.org"), Redaction(Settings(redact=False)).text("I am a@b.org")
    ('I am [email]', 'I am a@b.org')
    """

    def __init__(self, settings: Settings) -> None:
        self._wanted = settings.redact
        self._names = Names(settings.redact_names) if settings.redact and settings.redact_names else None

    def text(self, text: str) -> str:
        """A text, redacted."""
        if not self._wanted:
            return text
        text = redact(text)
        return text if self._names is None else self._names(text)

    def call(self, call: Call) -> Call:
        """A call, redacted."""
        return redact_call(call, self.text) if self._wanted else call
