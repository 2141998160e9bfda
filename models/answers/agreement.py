"""Decides whether two answers say the same."""

from __future__ import annotations

import math
from typing import Any

from jitr.models.answers.lists import members_of, set_of
from jitr.models.answers.normalize import canonical_json, json_of, normal
from jitr.models.answers.numbers import close, quantity_of


def same(first: str, second: str, tolerance: float = 0.0) -> bool:
    """Whether two answers agree. This is the definition of agreement.

    Their normal forms are equal, or they are numbers that lie apart by the tolerance at most; where one is a
    set of labels in normal form, the other lists the same labels in whatever order.

    Parameters
    ----------
    first, second : str
        Answers as they came, or labels in normal form.
    tolerance : float
        How far two numbers may lie apart, in the unit of the answers; also inside of JSON objects.

    Examples
    --------
    >>> same("Positive", "**positive**."), same("yes", "no")
    (True, False)
    >>> same("$7.50", "7", 0.5), same('{"a":1,"b":7}', '{"a":1,"b":8}', 1), same("7", "9", 1)
    (True, True, False)
    >>> same('["law","sports"]', "Sports, Law"), same('["law"]', "Sports, Law")
    (True, False)
    """
    if first == second:
        return True
    if tolerance > 0:
        one, other = quantity_of(first), quantity_of(second)
        if one is not None and other is not None:
            return close(one.number, other.number, tolerance)
    for label, answer in ((first, second), (second, first)):
        if members_of(label) is not None:
            return set_of(answer) == label
    if tolerance > 0 and (a := json_of(first)) is not None and (b := json_of(second)) is not None:
        return a.keys() == b.keys() and all(_near(a[key], b[key], tolerance) for key in a)
    return normal(first) == normal(second)


def _near(first: Any, second: Any, tolerance: float) -> bool:
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in (first, second)):
        return bool(first == second) or (
            math.isfinite(first) and math.isfinite(second) and close(repr(first), repr(second), tolerance)
        )
    return canonical_json({"": first}) == canonical_json({"": second})
