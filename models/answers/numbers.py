"""Reads answers that are a number, and what the teacher writes around it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

_LONGEST = 80
_DIGITS = r"[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,18})(?:\.[0-9]{1,12})?"
_QUANTITY = re.compile(
    rf"""(?xi)
    (?P<before>
      [\s"'`*]*
      (?:(?:[a-z]{{1,12}}\ ){{0,3}}
        (?:age|amount|answer|confidence|cost|count|estimate|number|price|probability|rating|result|score
          |similarity|total|value|year)
        (?:\ is|\ would\ be|:|\ =)[\s"'`*]*)?
      [$€£¥]?\ ?
    )
    (?P<number>{_DIGITS})
    (?P<after>
      \ ?(?:%|[$€£¥]|/\ ?(?:5|10|100)|\ out\ of\ (?:5|10|100)
        |\ ?(?:points?|stars?|percent|usd|eur|gbp|dollars?|euros?|pounds?|years?|minutes?|hours?|days?))?
      [\s"'`*.!]*
    )
    """
)


class Quantity(NamedTuple):
    """A number in its plainest form, and the text around it as it came."""

    before: str
    number: str
    after: str


def quantity_of(answer: str) -> Quantity | None:
    """The one number that an answer is, or None where it says anything else.

    Examples
    --------
    >>> quantity_of("Score: 85/100"), quantity_of("$1,250.50").number, quantity_of("4 or 5")
    (Quantity(before='Score: ', number='85', after='/100'), '1250.5', None)
    """
    if len(answer) > _LONGEST:
        return None
    found = _QUANTITY.fullmatch(answer)
    if found is None:
        return None
    return Quantity(found["before"], plain(found["number"].replace(",", "")), found["after"])


def plain(number: str) -> str:
    """A decimal number in its one plain form.

    Examples
    --------
    >>> plain("+3.50"), plain("007"), plain("-0.0"), plain("1200")
    ('3.5', '7', '0', '1200')
    """
    value = Decimal(number)
    return "0" if not value else format(value.normalize(), "f")


def close(first: str, second: str, tolerance: float) -> bool:
    """Whether two numbers in plain form differ by at most a tolerance, exactly reckoned.

    Examples
    --------
    >>> close("0.3", "0.2", 0.1), close("7", "9", 1)
    (True, False)
    """
    return abs(Decimal(first) - Decimal(second)) <= Decimal(str(tolerance))
