"""Labels as closed fields: one for a plain label, one per key for a JSON object; and back to text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from jitr.schemas.errors import TrainingError

ABSENT = ""
_MOST_CLASSES = 500


class FieldSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One closed field: its key (empty for a plain label) and its values.

    The values of a JSON field are JSON texts, so that the number 1 and the string "1" stay apart;
    `ABSENT` says that the object lacks the key.
    """

    name: str
    values: tuple[str, ...]


class JsonStyle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the teacher writes its objects: what surrounds them, and how they are spaced."""

    before: str = ""
    after: str = ""
    indent: int | None = None
    item_separator: str = ", "
    key_separator: str = ": "
    keys: tuple[str, ...] = ()

    def render(self, label: str) -> str:
        """Write a canonical object as the teacher would.

        Examples
        --------
        >>> JsonStyle(before="```json\\n", after="\\n```", keys=("b", "a")).render('{"a":1,"b":2}')
        '```json\\n{"b": 2, "a": 1}\\n```'
        """
        value = json.loads(label)
        rank = {key: i for i, key in enumerate(self.keys)}
        ordered = dict(sorted(value.items(), key=lambda item: rank.get(item[0], len(rank))))
        text = json.dumps(
            ordered,
            ensure_ascii=False,
            indent=self.indent,
            separators=(self.item_separator, self.key_separator),
        )
        return self.before + text + self.after

    @classmethod
    def infer(cls, renderings: Mapping[str, str]) -> JsonStyle:
        """Find the style that writes most of the teacher's renderings byte for byte.

        Examples
        --------
        >>> JsonStyle.infer({'{"a":1,"b":2}': 'Sure: {"b":2,"a":1}'}).render('{"a":3,"b":4}')
        'Sure: {"b":4,"a":3}'
        """
        best, most = cls(), -1
        tried: set[JsonStyle] = set()
        for label, text in sorted(renderings.items())[:50]:
            first, last = text.find("{"), text.rfind("}")
            try:
                keys = tuple(json.loads(text[first : last + 1]))
            except (ValueError, TypeError):
                continue
            del label
            for indent in (None, 2, 4):
                for separators in ((", ", ": "), (",", ":"), (",", ": ")):
                    style = cls(
                        before=text[:first],
                        after=text[last + 1 :],
                        indent=indent,
                        item_separator=separators[0],
                        key_separator=separators[1],
                        keys=keys,
                    )
                    if style in tried:
                        continue
                    tried.add(style)
                    exact = sum(style.render(known) == as_is for known, as_is in renderings.items())
                    if exact > most:
                        best, most = style, exact
        return best


def canonical(value: Any) -> str:
    """JSON with sorted keys and no blanks: equal values, equal texts."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def split_label(label: str) -> dict[str, str] | None:
    """The fields of a label that is a canonical JSON object; None where it is none.

    Examples
    --------
    >>> split_label('{"a":1,"b":["x"]}'), split_label("refund")
    ({'a': '1', 'b': '["x"]'}, None)
    """
    if not label.startswith("{"):
        return None
    try:
        value = json.loads(label)
    except ValueError:
        return None
    # only what can be put together again exactly may be taken apart
    if not isinstance(value, dict) or not value or "" in value or canonical(value) != label:
        return None
    return {key: canonical(part) for key, part in value.items()}


def join_label(names: Sequence[str], values: Sequence[str]) -> str:
    """The label that a choice of field values stands for.

    Examples
    --------
    >>> join_label(["a", "b"], ["1", ABSENT]), join_label([""], ["refund"])
    ('{"a":1}', 'refund')
    """
    if list(names) == [""]:
        return values[0]
    parts = sorted((name, value) for name, value in zip(names, values, strict=True) if value != ABSENT)
    return "{" + ",".join(f"{canonical(name)}:{value}" for name, value in parts) + "}"


def closed_fields(labels: Sequence[str]) -> tuple[tuple[FieldSpec, ...], list[list[int]]]:
    """Find the closed fields of a task's labels and number their values.

    Parameters
    ----------
    labels : sequence of str
        One per example.

    Returns
    -------
    fields : tuple of FieldSpec
        Sorted by name; values sorted too.
    numbers : list of list of int
        For each label the index of its value in each field.

    Raises
    ------
    TrainingError
        A field has too many different values: it is not closed.

    Examples
    --------
    >>> fields, numbers = closed_fields(["yes", "no", "yes"])
    >>> fields[0].values, numbers
    (('no', 'yes'), [[1], [0], [1]])
    """
    objects = [split_label(label) for label in labels]
    if all(fields is not None for fields in objects):
        rows = [fields for fields in objects if fields is not None]
    else:
        rows = [{"": label} for label in labels]
    names = sorted({name for row in rows for name in row})
    specs = []
    for name in names:
        values = sorted({row.get(name, ABSENT) for row in rows})
        most = max(2, min(_MOST_CLASSES, len(labels) // 3))
        if len(values) > most:
            what = f"field `{name}`" if name else "the answer"
            raise TrainingError(
                f"{what} has {len(values)} different values in {len(labels)} answers, and at most {most} make"
                " a closed set; collect more, or leave this task to the teacher"
            )
        specs.append(FieldSpec(name=name, values=tuple(values)))
    index = [{value: i for i, value in enumerate(spec.values)} for spec in specs]
    numbers = [
        [at[row.get(spec.name, ABSENT)] for spec, at in zip(specs, index, strict=True)] for row in rows
    ]
    return tuple(specs), numbers
