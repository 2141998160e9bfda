"""Redaction: e-mail addresses, phone and card numbers, keys and tokens leave a text before anyone keeps it.

One function for publishers, detect and the surrogate's input, so that training and serving see the same text.
"""

import re

import msgspec

from jitr.schemas.calls import Call

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_KEY = re.compile(
    r"""(?x)
    -----BEGIN[ ][A-Z ]{0,30}PRIVATE[ ]KEY-----[\s\S]{0,8000}?-----END[ ][A-Z ]{0,30}PRIVATE[ ]KEY-----
    | (?<![A-Za-z0-9])(?:
        (?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,}
      | AKIA[0-9A-Z]{16} | AIza[0-9A-Za-z_-]{30,} | hf_[A-Za-z0-9]{20,} | glpat-[A-Za-z0-9_-]{16,}
      | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*
      | [Bb]earer\ +[A-Za-z0-9._~+/-]{16,}=*
    )
    """
)
_SEVEN_DIGITS = re.compile(r"[0-9](?:[ ().-]{0,2}[0-9]){6}")
_LONG_NUMBER = re.compile(r"(?<![\w.-])[0-9](?:[ -]?[0-9]){12,18}(?![\w-])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_PHONE = re.compile(
    r"(?<![\w+.-])"
    r"(?:\+[0-9](?:[ ().-]{0,2}[0-9]){7,14}|(?:1[ .-])?\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4})"
    r"(?!\w)"
)
_SSN = re.compile(r"(?<![\w-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![\w-])")
_JOINED = ("sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "gh", "github_pat_", "xox", "hf_", "glpat-")
_BARE = ("AKIA", "AIza", "eyJ", "earer ", "PRIVATE KEY")


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
    while True:
        found = _once(text)
        if found == text:
            return found
        text = found  # what a replacement lays bare is looked at again


def _once(text: str) -> str:
    if "@" in text:
        text = _EMAIL.sub("[email]", text)
    # the searches that are cheap rule out those that are not
    if any(k in text for k in _BARE) or (("_" in text or "-" in text) and any(k in text for k in _JOINED)):
        text = _KEY.sub("[key]", text)
    if _SEVEN_DIGITS.search(text):
        text = _LONG_NUMBER.sub(_card, text)
        text = _IBAN.sub("[iban]", text)
        text = _SSN.sub("[ssn]", text)
        text = _PHONE.sub("[phone]", text)
    return text


def _card(found: re.Match[str]) -> str:
    """A number that passes the check sum of payment cards (Luhn, 1960)."""
    digits = [int(c) for c in found.group() if c.isdigit()]
    doubled = [d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(reversed(digits))]
    return "[card]" if sum(doubled) % 10 == 0 else found.group()


def redact_call(call: Call) -> Call:
    """A call with every text in it redacted: messages, answers, metadata.

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
                content=redact(m.content),
                tool_calls=redact(m.tool_calls) if m.tool_calls else m.tool_calls,
            )
            for m in call.messages
        ]
    )
    response, decision = call.response, call.decision
    if response is not None:
        calls = redact(response.tool_calls) if response.tool_calls else response.tool_calls
        response = msgspec.structs.replace(response, text=redact(response.text), tool_calls=calls)
    if decision is not None and decision.answer is not None:
        decision = msgspec.structs.replace(decision, answer=redact(decision.answer))
    metadata = {name: redact(value) for name, value in call.metadata.items()}
    return msgspec.structs.replace(
        call, messages=messages, response=response, decision=decision, metadata=metadata
    )
