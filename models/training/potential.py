"""How much of a task a quick surrogate could take: n-grams and a linear head, proved on later calls.

It is what `jitr scan` shows on the first day, in a second or two a task. The race of a real training
(`jitr.models.training.search.race`) has better candidates, so this is a floor rather than a forecast of that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jitr.models.answers.agreement import same
from jitr.models.answers.kinds import are_numbers, in_kind
from jitr.models.answers.label_space import LabelSpace
from jitr.models.datasets.examples import Dataset, Example
from jitr.models.datasets.splits import later_split
from jitr.models.encoders.ngrams import NgramEncoder
from jitr.models.promise.bounds import lower_bound
from jitr.models.promise.held_back import fine_thresholds, firsts, prove
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.fit import fit_model
from jitr.models.surrogates.heads.base import Features
from jitr.models.surrogates.heads.fields import fields_of
from jitr.models.tasks.sample import Answered
from jitr.schemas.errors import TrainingError
from jitr.schemas.scan import Potential
from jitr.schemas.tasks import OutputKind

TRAINABLE: tuple[OutputKind, ...] = ("label", "labels", "json", "number")
HELD_BACK = 0.3
_LEAST = 40
_MOST_GRAMS = 8_000
_UNPARSED = "\0unparsed"


def potential(
    answered: Sequence[Answered],
    space: LabelSpace,
    *,
    target: float,
    delta: float,
    tolerance: float = 0.0,
    seed: int = 0,
) -> Potential:
    """Fit on the earlier calls, prove on the later ones.

    The split is by time, and near-duplicates of what was learned prove nothing. Thresholds come from
    out-of-sample scores of the earlier calls alone; those that pass on the later calls are proved at once,
    near-duplicates counted once (`jitr.models.promise.held_back.prove`). Held-out answers that do not parse
    count as disagreement.

    Parameters
    ----------
    answered : sequence of Answered
        Calls of one task.
    space : LabelSpace
        What reads their answers.
    target : float
        Agreement that an accepted answer must keep, in (0, 1).
    delta : float
        Chance that the proof is wrong, in (0, 1).
    tolerance : float
        How far two numbers may lie apart and still agree, in the unit of the answers.

    Examples
    --------
    >>> from jitr.models.answers.labelling import space_of
    >>> words = "ant bee cat cow dog elk fox gnu hen jay kid owl pig ram yak".split()
    >>> texts = [f"{size} {a} {b}" for a in words for b in words for size in ("tall", "small") if a != b]
    >>> calls = [Answered(text, float(i), text, "Long" if "tall" in text else "Short")
    ...          for i, text in enumerate(texts)]
    >>> found = potential(calls, space_of(c.answer for c in calls), target=0.9, delta=0.05)
    >>> found.agreement, found.coverage
    (1.0, 1.0)
    """
    if space.kind not in TRAINABLE:
        return Potential(reason=f"answers are open ({space.kind}): nothing to choose from")
    numbers_only = tolerance > 0 and space.kind == "label" and are_numbers(space.labels)
    examples = [_example(a, space, as_number=numbers_only) for a in answered]
    # labels as they are: an answer that does not parse stays, and counts
    data = Dataset.from_examples(examples, "text", tolerance)
    early, late = later_split(data.times, data.groups, HELD_BACK)
    early = np.array([i for i in early.tolist() if data.labels[i] != _UNPARSED], dtype=np.int64)
    if len(early) < _LEAST or len(late) < _LEAST // 2:
        return Potential(reason=f"{len(data)} distinct inputs are too few to learn from and to prove on")
    known, held = data.take(early), data.take(late)
    try:
        fields, numbers = fields_of(known.labels, tolerance)
    except TrainingError as error:
        return Potential(learned=len(known), held=len(held), reason=str(error))
    features = Features(ngrams=NgramEncoder.fit(known.inputs, _MOST_GRAMS))
    fitted = fit_model(
        features,
        features.encode(known.inputs),
        Candidate("linear", True, None),
        fields,
        numbers,
        known.weights,
        known.groups,
        seed,
    )
    said, scores = fitted.model.answer(held.inputs)
    agrees = np.array([same(a, b, tolerance) for a, b in zip(said, held.labels, strict=True)])
    plan = fine_thresholds(fitted.scores, fitted.agrees, known.weights)
    proof = prove("split", scores, agrees, plan, target, delta, held.groups)
    counted = agrees[firsts(held.groups)]
    proving, agreed = len(counted), int(counted.sum())
    return Potential(
        learned=len(known),
        held=len(held),
        agreement=float(agrees.mean()),
        agreement_low=lower_bound(agreed, proving, delta),
        coverage=proof.coverage if proof else 0.0,
        bound=proof.bound if proof else 0.0,
        reason="" if proof else _why(proving, agreed, target, delta),
    )


def _example(answered: Answered, space: LabelSpace, *, as_number: bool) -> Example:
    label = space.parse(answered.answer)
    if label is not None and as_number:
        label = in_kind(label, "number")
    return Example(answered.id, answered.time, answered.input, _UNPARSED if label is None else label)


def _why(proving: int, agreed: int, target: float, delta: float) -> str:
    needed = int(np.ceil(np.log(delta) / np.log(target)))
    if proving < needed:
        return f"{proving} later calls are too few to prove {target:g}: {needed} at least"
    # the walk may begin at a threshold that accepts fewer than needed, though all of them agree
    return (
        f"{agreed} of {proving} later calls agree: too few, or too seldom, to prove {target:g} of any share"
    )
