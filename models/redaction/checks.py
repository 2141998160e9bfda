"""What tells a secret from what only looks like it: check digits, lengths, dates, wording."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from datetime import date
from functools import cache
from importlib import import_module
from typing import Final, cast

from stdnum import luhn
from stdnum.iso7064 import mod_97_10

from jitr.models.redaction.pattern import Check

Span = tuple[int, int]
_NEXT: Final = re.compile(rb"[ .,/-][0-9]")
_LAST: Final = re.compile(rb"[0-9][ .,/-]?\Z")
# how long a card's number is, by how it begins; the first that fits counts
_ISSUERS: Final = (
    (re.compile(rb"4"), (16, 19)),
    (re.compile(rb"5[1-5]|2(?:2[2-9]|[3-6]|7[01]|720)"), (16,)),
    (re.compile(rb"3[47]"), (15,)),
    (re.compile(rb"3(?:0[0-5]|[689])"), (14, 16, 19)),
    (re.compile(rb"35(?:2[89]|[3-8])"), (16, 17, 18, 19)),
    (re.compile(rb"62|6011|64[4-9]|65|60|81|82"), (16, 17, 18, 19)),
    (re.compile(rb"5[0678]|6"), (16, 18, 19)),
)
_NO_DIGITS: Final = bytes(byte for byte in range(256) if not 48 <= byte <= 57)
_ALNUM: Final = re.compile(rb"[^0-9A-Za-z]+")
_EMPTY: Final = re.compile(
    rb"(?i)(?:\$|<|%|\{|\*|x{3}|your|env\b|env\.|process\.|os\.|none|null|true|false|undefined|required|optional"
    rb"|string|redacted|hidden|missing|invalid|expired|must|should|changed|reset|incorrect|wrong|not)"
)
# names of what goes on to the next page, and the like: nothing is unlocked by them
_HARMLESS: Final = re.compile(rb"(?i)(?:page|continuation|sync|cancel\w{0,9})[ _-]?token[\"' :=]{0,6}\Z")


def digits(data: bytes) -> bytes:
    """Only the digits."""
    return data.translate(None, _NO_DIGITS)


def is_fraction(data: bytes, start: int) -> bool:
    """Whether digits stand after a decimal point."""
    return start > 1 and data[start - 1] in b".," and 48 <= data[start - 2] <= 57


def card(data: bytes, start: int, end: int) -> Span | None:
    """A number of an issuer's length whose last digit fits (Luhn, 1960)."""
    number = digits(data[start:end])
    groups = re.split(rb"[^0-9]+", data[start:end])
    if data.count(b"\n", start, end) > 1 or (
        len(groups) > 1 and (len(groups[0]) < 4 or len(min(groups, key=len)) < 2)
    ):
        return None  # a column or row of numbers
    known = any(len(number) in lengths for begins, lengths in _ISSUERS if begins.match(number))
    return (start, end) if known and luhn.is_valid(number.decode()) else None


def iban(data: bytes, start: int, end: int) -> Span | None:
    """A number of its country's length that is 1 modulo 97 (ISO 13616)."""
    country = data[start : start + 2].decode().upper()
    length = IBAN_LENGTHS.get(country)
    if length is None:
        return None
    at, count = start, 0
    while count < length:
        if at >= end:
            return None
        count += data[at : at + 1].isalnum()
        at += 1
    if data[at : at + 1].isalnum():
        return None
    number = _ALNUM.sub(b"", data[start:at]).decode()
    return (start, at) if mod_97_10.is_valid(number[4:] + number[:4]) else None


def phone(least: int, most: int = 15) -> Check:
    """As many digits as a telephone number has, with one kind of sign between its groups at most."""

    def check(data: bytes, start: int, end: int) -> Span | None:
        start += data[start : start + 1] == b"(" and b")" not in data[start:end]
        text = data[start:end]
        count = len(digits(text))
        if not least <= count <= most:
            return None
        between = set(re.findall(rb"(?<=[0-9])[ ./-](?=[0-9])", text)) - (
            {b"/"} if text[:1] in b"(0" else set()
        )
        if len(between) > 1:
            return None
        # an address of hardware, the number of a book
        if re.match(rb"-[0-9A-Za-z]", data[end : end + 2]) or re.search(
            rb"[0-9]-\Z", data[max(0, start - 2) : start]
        ):
            return None
        # 0.5 and 01.02.2024 are no numbers to call
        if b"." in between and not re.fullmatch(rb"0[0-9](?:\.[0-9]{2}){4}", text):
            return None
        return start, end

    return check


def valid(*standards: str, born: str = "") -> Check:
    """A number that one of python-stdnum's modules accepts.

    ``born`` says where a day of birth stands in it: ``Y``, ``M`` and ``D`` at the digits' places.
    """

    def check(data: bytes, start: int, end: int) -> Span | None:
        if _NEXT.match(data[end : end + 2]) or _LAST.search(data[max(0, start - 2) : start]):
            return None  # of a row of numbers
        written = data[start:end].decode().upper()
        number = re.sub("[^0-9A-Z]", "", written)
        if born and not _is_day(number, born):
            return None
        fits = any(_standard(name)(form) for name in standards for form in (number, written))
        return (start, end) if fits else None

    return check


@cache
def _standard(name: str) -> Callable[[str], bool]:
    return cast(Callable[[str], bool], import_module(f"stdnum.{name}").is_valid)


def _is_day(number: str, born: str) -> bool:
    year, month, day = (
        "".join(c for c, what in zip(number, born, strict=False) if what == part) for part in "YMD"
    )
    try:
        # the twenty-ninth of February is a day whatever the century
        date(2000 if len(year) == 2 else int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def mixed(data: bytes, start: int, end: int) -> Span | None:
    """Letters and digits both, as in what was drawn at random."""
    text = data[start:end]
    return (start, end) if _digits_in(text) >= 2 and any(c > 57 for c in text) else None


def drawn(data: bytes, start: int, end: int) -> Span | None:
    """A digit, or capitals and small letters, as in what was drawn at random."""
    return (start, end) if re.search(rb"[0-9]|[a-z][A-Z]", data[start:end]) else None


def key_value(data: bytes, start: int, end: int) -> Span | None:
    """What is given to the name of a key or token: drawn at random, no placeholder, no word."""
    end = _end(data, start, end)
    text = data[start:end]
    if len(text) < 8 or _EMPTY.match(text) or _HARMLESS.search(data[max(0, start - 40) : start]):
        return None
    both = re.search(rb"[a-z]", text) and re.search(rb"[A-Z]", text)
    rare = (len(text) >= 12 and both and _digits_in(text)) or (len(text) >= 32 and drawn(data, start, end))
    return (start, end) if rare else mixed(data, start, end)


def phrase(data: bytes, start: int, end: int) -> Span | None:
    """Words between quotes that are a password, not words about one."""
    end = start + len(data[start:end].rstrip())  # an escaped quote is seen as a space and a quote
    text = data[start:end]
    about = re.search(
        rb"(?i)pass|enter|your|must|please|character|field|user|required|\b(?:the|is|for)\b", text
    )
    return (start, end) if b" " in text and not about else None


def after_name(data: bytes, start: int, end: int) -> Span | None:
    """What follows a name without a sign between: no word, nothing made of words."""
    end = _end(data, start, end)
    text = data[start:end]
    made = re.search(rb"[a-z]{7}|[A-Z]{7}|[_.-].*[_.-]", text) and not re.fullmatch(rb"[0-9a-f-]+", text)
    return None if made else mixed(data, start, end)


def password(data: bytes, start: int, end: int) -> Span | None:
    """What is given to the name of a password: a digit, a sign or a capital within, and no placeholder."""
    end = _end(data, start, end)
    text = data[start:end]
    if len(text) < 4 or _EMPTY.match(text):
        return None
    odd = _digits_in(text) > 0 or re.search(rb"[^A-Za-z0-9_.()/-]", text)
    mark = data[start - 1 : start]
    literal = mark in (b'"', b"'") and data[end : end + 1] == mark
    bare = mark == b"=" and re.fullmatch(rb"[A-Za-z-]{6,}", text)
    code = re.search(rb"(?i)pass|pwd|user|secret|prompt|field|input", text)
    return (start, end) if odd or literal or (bare and not code) else None


def basic(data: bytes, start: int, end: int) -> Span | None:
    """What HTTP's basic authentication sends: name, colon, password in base 64."""
    try:
        said = binascii.a2b_base64(data[start:end] + b"==")
    except binascii.Error:
        return None
    return (start, end) if b":" in said and said.isascii() else None


def cookie(data: bytes, start: int, end: int) -> Span | None:
    """A header of cookies of which one is long."""
    return (start, end) if re.search(rb"=[^;\s]{8}", data[start:end]) else None


def numbered(least: int) -> Check:
    """At least so many digits."""

    def check(data: bytes, start: int, end: int) -> Span | None:
        return (start, end) if _digits_in(data[start:end]) >= least else None

    return check


def american(data: bytes, start: int, end: int) -> Span | None:
    """A telephone number that is no part of a row of numbers."""
    return None if _LAST.search(data[max(0, start - 2) : start]) else (start, end)


def mail(data: bytes, start: int, end: int) -> Span | None:
    """An address of somebody; ``git@`` is nobody."""
    return None if data[start : start + 4] == b"git@" else (start, end)


def social_security(data: bytes, start: int, end: int) -> Span | None:
    """A number that the United States have given out: the areas 000 and 666 are not."""
    number = digits(data[start:end])
    same = len(set(re.findall(rb"[^0-9]", data[start:end]))) == 1
    given = number[:3] not in (b"000", b"666") and number[3:5] != b"00" and number[5:] != b"0000"
    return (start, end) if same and given else None


def _digits_in(text: bytes) -> int:
    return len(digits(text))


def _end(data: bytes, start: int, end: int) -> int:
    """Without the full stop of the sentence."""
    while end > start and data[end - 1 : end] in (b".", b":", b"?"):
        end -= 1
    return end


# the registry of SWIFT (ISO 13616)
IBAN_LENGTHS: Final = {
    country: int(length)
    for length, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FO GL NL SD FK", "19": "MK SI", "20": "AT BA EE KZ LT LU XK MN",
        "21": "CH HR LI LV", "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ DZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST", "26": "IS TR",
        "27": "BF CM DJ FR GR IT MC MR SM BI",
        "28": "AL AZ BJ BY CI CY DO GT HU LB NI PL SN SV ML", "29": "BR EG PS QA UA",
        "30": "JO KW MU YE", "31": "MT SC",
        "32": "LC", "33": "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
