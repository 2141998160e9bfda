"""What a surrogate said out of sample in the place of the teacher's answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from jitr.models.surrogates.heads.fields import ABSENT, PRESENT, FieldSpec

_WORST_LABELS = 8
_LONGEST_NAME = 80

Pair = tuple[str, str, int]


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by the teacher's label and by what was said, of the labels that are most confused.

    Attributes
    ----------
    field : str
        Which field of the answer it is of; empty where there is one.
    labels : tuple of str
    counts : tuple of tuple of int
        One row per label of the teacher's; one column per label said, and a last one for all others.
    """

    field: str = ""
    labels: tuple[str, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()


def most_confused(
    spec: FieldSpec, said: NDArray[np.int64], meant: NDArray[np.int64], most: int
) -> tuple[Pair, ...]:
    """The teacher's value, what was said in its place, and how often; most often first.

    Examples
    --------
    >>> spec = FieldSpec(name="", values=("a", "b"))
    >>> most_confused(spec, np.array([0, 1, 1]), np.array([0, 0, 0]), 5)
    (('a', 'b', 2),)
    """
    if spec.scale is not None:
        return ()
    return tuple((spec.values[t], spec.values[s], n) for t, s, n in _missed(said, meant)[:most])


def confusion(
    fields: Sequence[FieldSpec], said: Sequence[NDArray[np.int64]], meant: NDArray[np.int64]
) -> Confusion | None:
    """The confusion of the closed field that is missed most often; None where nothing was confused.

    Parameters
    ----------
    fields : sequence of FieldSpec
    said : sequence of int array of shape (n,)
        The value chosen of each field, out of sample.
    meant : int array of shape (n, fields)

    Examples
    --------
    >>> spec = FieldSpec(name="", values=("a", "b", "c"))
    >>> found = confusion([spec], [np.array([0, 1, 1, 2])], np.array([[0], [0], [1], [2]]))
    >>> found.labels, found.counts
    (('a', 'b'), ((1, 1, 0), (0, 1, 0)))
    """
    closed = [i for i, spec in enumerate(fields) if spec.scale is None]
    if not closed:
        return None
    worst = max(closed, key=lambda i: int(np.count_nonzero(said[i] != meant[:, i])))
    spec, chosen, truth = fields[worst], said[worst], meant[:, worst]
    shown: list[int] = []
    for pair in _missed(chosen, truth):
        new = [label for label in pair[:2] if label not in shown]
        if len(shown) + len(new) > _WORST_LABELS:
            break
        shown += new
    if not shown:
        return None
    place = {label: at for at, label in enumerate(shown)}
    counts = np.zeros((len(shown), len(shown) + 1), np.int64)
    for t, s in zip(truth.tolist(), chosen.tolist(), strict=True):
        if t in place:
            counts[place[t], place.get(s, -1)] += 1
    return Confusion(
        field=(spec.name if spec.member is None else spec.member)[:_LONGEST_NAME],
        labels=tuple(_name(spec, label) for label in shown),
        counts=tuple(tuple(row) for row in counts.tolist()),
    )


def _missed(said: NDArray[np.int64], meant: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    pairs = Counter((int(t), int(s)) for t, s in zip(meant, said, strict=True) if t != s)
    return [(t, s, n) for (t, s), n in pairs.most_common()]


def _name(spec: FieldSpec, value: int) -> str:
    text = spec.values[value]
    if spec.member is not None:
        return "in the set" if text == PRESENT else "not in it"
    return "(absent)" if text == ABSENT else text[:_LONGEST_NAME]
