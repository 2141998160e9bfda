"""Learns how the teacher writes a label, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping

from jitr.models.answers.normalize import json_of
from jitr.models.answers.styles import style_of


def render(label: str, renderings: Mapping[str, str]) -> str:
    """The teacher's usual text for a label.

    Parameters
    ----------
    label : str
        A normal form.
    renderings : mapping
        Known labels to the text the teacher tends to write for them.

    Returns
    -------
    str
        The known text; for an object, a set or a number that was never seen, one in the style of those that
        were; else the label.

    Examples
    --------
    >>> render("positive", {"positive": "Positive."})
    'Positive.'
    >>> render('{"a":1,"b":2}', {'{"a":3,"b":4}': '{"b": 4, "a": 3}'})
    '{"b": 2, "a": 1}'
    """
    known = renderings.get(label)
    if known is not None:
        return known
    value = json_of(label)
    if value is not None:
        # another set of keys may be written in another way
        alike = {
            seen: text for seen, text in renderings.items() if (json_of(seen) or {}).keys() == value.keys()
        }
        renderings = alike or renderings
    style = style_of([label], renderings) if renderings else None
    return style.render(label) if style is not None else label
