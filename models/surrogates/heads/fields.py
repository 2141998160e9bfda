"""Labels as fields that are learned one by one, and back to labels.

A plain label is one closed field, a number one field with a scale, a set of labels a yes or no for each of
them, and a JSON object one field per key.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from jitr.models.answers.lists import members_of
from jitr.models.answers.numbers import plain
from jitr.schemas.errors import TrainingError

ABSENT = ""
PRESENT = "1"
FEW_NUMBERS = 12
_MOST_CLASSES = 500
_MOST_MEMBERS = 100
_MOST_DECIMALS = 6
_LARGEST = 10**15


class Scale(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The scale of a field of numbers: all are whole multiples of its unit, 10 to the -``decimals``.

    ``tolerance`` is in units: two numbers agree where they lie no further apart.
    """

    decimals: int = 0
    tolerance: int = 0

    def units(self, text: str) -> int:
        """A number in units.

        Examples
        --------
        >>> Scale(decimals=2).units("3.5"), Scale(decimals=2).text(350)
        (350, '3.5')
        """
        return int(Decimal(text).scaleb(self.decimals))

    def text(self, units: int) -> str:
        """The plain form of so many units."""
        return plain(str(Decimal(int(units)).scaleb(-self.decimals)))


class FieldSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One field: its key (empty for a plain label, a number or a set), and its values or its scale.

    The values of a JSON field are JSON texts, so that the number 1 and the string "1" stay apart;
    `ABSENT` says that the object lacks the key. With ``member`` it tells whether a set holds that label
    (`PRESENT` or `ABSENT`). With ``scale`` it is a number, and has no values.
    """

    name: str
    values: tuple[str, ...]
    member: str | None = None
    scale: Scale | None = None

    def text(self, chosen: int) -> str:
        """What a choice says: the value of that index, or so many units."""
        return self.values[chosen] if self.scale is None else self.scale.text(chosen)

    def agrees(self, said: NDArray[np.int64], meant: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether choices agree: equal, or within the tolerance."""
        most = self.scale.tolerance if self.scale is not None else 0
        return np.asarray(np.abs(said - meant) <= most)

    def narrow(self, column: NDArray[np.int64]) -> tuple[FieldSpec, NDArray[np.int64]]:
        """The same field with the values alone that a column holds, and the column renumbered."""
        if self.scale is not None:
            return self, column
        seen, numbers = np.unique(column, return_inverse=True)
        kept = tuple(self.values[i] for i in seen)
        return msgspec.structs.replace(self, values=kept), numbers.astype(np.int64)


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


def join_label(fields: Sequence[FieldSpec], values: Sequence[str]) -> str:
    """The label that a choice of a value for every field stands for.

    Examples
    --------
    >>> a, b = (FieldSpec(name=name, values=(ABSENT, "1")) for name in "ab")
    >>> join_label([a, b], ["1", ABSENT]), join_label([FieldSpec(name="", values=("refund",))], ["refund"])
    ('{"a":1}', 'refund')
    >>> join_label([FieldSpec(name="", values=(ABSENT, PRESENT), member=m) for m in "xy"], [ABSENT, PRESENT])
    '["y"]'
    """
    if fields[0].member is not None:
        held = [str(f.member) for f, value in zip(fields, values, strict=True) if value == PRESENT]
        return msgspec.json.encode(sorted(held)).decode()
    if len(fields) == 1 and fields[0].name == "":
        return values[0]
    parts = sorted((f.name, value) for f, value in zip(fields, values, strict=True) if value != ABSENT)
    return "{" + ",".join(f"{canonical(name)}:{value}" for name, value in parts) + "}"


def fields_of(
    labels: Sequence[str], tolerance: float = 0.0
) -> tuple[tuple[FieldSpec, ...], NDArray[np.int64]]:
    """Find the fields of a task's labels and number what each label says in them.

    Parameters
    ----------
    labels : sequence of str
        One per example, in normal form.
    tolerance : float
        How far two numbers may lie apart and still agree.

    Returns
    -------
    fields : tuple of FieldSpec
        Sorted by name; values sorted too.
    numbers : int64 array of shape (labels, fields)
        The index of each label's value in each field, or its number in units of the field's scale.

    Raises
    ------
    TrainingError
        A field has too many different values: it is not closed.

    Examples
    --------
    >>> fields, numbers = fields_of(["yes", "no", "yes"])
    >>> fields[0].values, numbers.tolist()
    (('no', 'yes'), [[1], [0], [1]])
    >>> fields, numbers = fields_of(["1.5", "2", "4"], tolerance=0.5)
    >>> fields[0].scale, numbers.tolist()
    (Scale(decimals=1, tolerance=5), [[15], [20], [40]])
    >>> fields, numbers = fields_of(['["a"]', '["a","b"]', '[]'])
    >>> [f.member for f in fields], numbers.tolist()
    (['a', 'b'], [[1, 0], [1, 1], [0, 0]])
    """
    sets = [members_of(label) for label in labels]
    if labels and all(members is not None for members in sets):
        return _members([set(members or ()) for members in sets])
    objects = [split_label(label) for label in labels]
    if all(fields is not None for fields in objects):
        rows = [fields for fields in objects if fields is not None]
    else:
        rows = [{"": label} for label in labels]
    specs, numbers = [], []
    for name in sorted({name for row in rows for name in row}):
        texts = [row.get(name, ABSENT) for row in rows]
        spec, column = _field(name, texts, tolerance)
        specs.append(spec)
        numbers.append(column)
    return tuple(specs), np.array(numbers, dtype=np.int64).reshape(len(specs), len(labels)).T


def _field(name: str, texts: list[str], tolerance: float) -> tuple[FieldSpec, list[int]]:
    values = sorted(set(texts))
    if tolerance > 0 or len(values) > FEW_NUMBERS:
        scale = _scale(values, tolerance)
        if scale is not None:
            return FieldSpec(name=name, values=(), scale=scale), [scale.units(text) for text in texts]
    most = max(2, min(_MOST_CLASSES, len(texts) // 3))
    if len(values) > most:
        what = f"field `{name}`" if name else "the answer"
        raise TrainingError(
            f"{what} has {len(values)} different values in {len(texts)} answers, and at most {most} make"
            " a closed set; collect more, or leave this task to the teacher"
        )
    index = {value: i for i, value in enumerate(values)}
    return FieldSpec(name=name, values=tuple(values)), [index[text] for text in texts]


def _scale(values: list[str], tolerance: float) -> Scale | None:
    """The scale of values that all are numbers in plain form; None where one is not."""
    decimals = 0
    for text in values:
        try:
            value = Decimal(text)
        except ArithmeticError:
            return None
        if not value.is_finite() or plain(text) != text or abs(value) >= _LARGEST:
            return None
        decimals = max(decimals, len(text.partition(".")[2]))
    largest = max((abs(Decimal(text)) for text in values), default=Decimal(0))
    if decimals > _MOST_DECIMALS or largest.scaleb(decimals) >= _LARGEST:
        return None
    units = Decimal(str(tolerance)).scaleb(decimals)
    return Scale(decimals=decimals, tolerance=int(min(units, Decimal(_LARGEST))))


def _members(sets: Sequence[set[str]]) -> tuple[tuple[FieldSpec, ...], NDArray[np.int64]]:
    members = sorted({member for held in sets for member in held})
    if not 0 < len(members) <= min(_MOST_MEMBERS, max(2, len(sets) // 3)):
        raise TrainingError(
            f"the answers list {len(members)} different labels in {len(sets)} answers, and between 1 and"
            f" {min(_MOST_MEMBERS, max(2, len(sets) // 3))} can be learned; collect more, or leave this task"
            " to the teacher"
        )
    specs, columns = [], []
    for member in members:
        column = np.array([member in held for held in sets], dtype=np.int64)
        spec, column = FieldSpec(name="", values=(ABSENT, PRESENT), member=member).narrow(column)
        specs.append(spec)
        columns.append(column)
    return tuple(specs), np.stack(columns, axis=1)
