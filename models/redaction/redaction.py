"""What every part of jitr does to a text before it keeps it, by the settings."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from jitr.models.redaction.calls import ANSWERED, APART, OWN_ID, WHOLE, rewritten
from jitr.models.redaction.finder import Finder
from jitr.models.redaction.keys import KEYS
from jitr.models.redaction.named import NAMED
from jitr.models.redaction.names import Names
from jitr.models.redaction.pattern import Rule
from jitr.models.redaction.people import ADDRESSES, PEOPLE
from jitr.schemas.calls import Call
from jitr.schemas.settings import Settings


class Redaction:
    """Replaces what identifies or unlocks by a word in brackets.

    One for publishers, the gateway and the agents, so that training and serving see the same text.
    Redacting again changes nothing.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    ConfigError
        A pattern cannot be read, or names are to be redacted and what finds them is not installed.

    Examples
    --------
    >>> redaction = Redaction(Settings())
    >>> redaction.text("Write to ann.lee@example.org or call +49 30 901820, card 4111 1111 1111 1111.")
    'Write to [email] or call [phone], card [card].'
    >>> redaction.text("key sk-abcdefghijklmnop1234")
    'key [key]'
    >>> redaction.text("Order 2024-05-17 of 12 pears")
    'Order 2024-05-17 of 12 pears'
    >>> Redaction(Settings(redact=False)).text("I am a@b.org")
    'I am a@b.org'
    """

    def __init__(self, settings: Settings) -> None:
        self._wanted: Final = settings.redact
        self._names: Final = (
            Names(settings.redact_names) if settings.redact and settings.redact_names else None
        )
        chosen = settings.redaction
        self._finder: Final = (
            _finder(tuple(chosen.kinds), tuple(chosen.patterns.items())) if settings.redact else None
        )

    def text(self, text: str) -> str:
        """A text, redacted."""
        return self._all([text], [""])[0]

    def data(self, data: bytes) -> bytes:
        """Bytes, redacted as the text they hold (UTF-8, or UTF-16 by its mark); what is no text stays."""
        if self._finder is None:
            return data
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            coding, errors = "utf-16", "surrogatepass"
            data = data[: len(data) // 2 * 2]
        else:
            coding, errors = "utf-8", "surrogateescape"
        text = data.decode(coding, errors)
        made = self.text(text)
        return data if made == text else made.encode(coding, errors)

    def call(self, call: Call, *, own_id: bool = False) -> Call:
        """A call with every text in it redacted; the same object where there is nothing to redact.

        ``own_id`` says that its id was drawn by `jitr` and is left alone: random letters cost as much to look
        at as all the rest.
        """
        return call if self._finder is None else rewritten(call, OWN_ID if own_id else WHOLE, self._all)

    def answer(self, call: Call) -> Call:
        """A call whose answers and errors are redacted; its request is already."""
        return call if self._finder is None else rewritten(call, ANSWERED, self._all)

    def _all(self, texts: list[str], before: list[str]) -> list[str]:
        if self._finder is None:
            return texts
        texts = self._finder.redact_all(texts, before)
        if self._names is None:
            return texts
        # a model may be called Claude
        return [t if gap == APART else self._names(t) for t, gap in zip(texts, before, strict=True)]


@lru_cache(maxsize=16)
def _finder(kinds: tuple[str, ...], own: tuple[tuple[str, str], ...]) -> Finder:
    known = [pattern for pattern in (*KEYS, *NAMED, *PEOPLE, *ADDRESSES) if pattern.kind in kinds]
    return Finder([*(Rule(name, regex) for name, regex in own), *known])
