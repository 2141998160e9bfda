"""How often a certificate is broken: 1,000 resamples of a setting, each with a world of its own.

Cases `SETTING/proof=KIND`: `plain`; `ties` (few different scores); `imbalance` (one class has 3 calls in 4);
`duplicates` (a call comes up to five times in a row, in other words); `popular` (half of all calls are one of
twenty inputs); `noise` (the teacher errs on one call in twenty); `refits` (trained anew at doublings; every
certificate of a life counts). Each time classes lie differently far apart, a kernel ridge surrogate and its
gate are trained, and what they are worth for ever is computed: the teacher is a known distribution.
Metrics: `broken`, the share of resamples with a certificate whose true agreement is under the target, and its
95% bounds `broken_low` (must lie under delta = 0.05 for `later` and `split`) and `broken_high`;
`broken_issued`, the same of those that were issued; `issued`; `coverage`. `loo` is measured, not proved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from harness.options import Options, parse
from harness.report import Report

from jitr.models.promise.bounds import lower_bound, upper_bound
from jitr.models.promise.held_back import fine_thresholds, prove
from jitr.models.promise.shadow import ShadowProof
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.fit import Fitted, fit_model
from jitr.models.surrogates.heads.base import Encoded, Features
from jitr.models.surrogates.heads.fields import FieldSpec

TARGET, DELTA = 0.90, 0.05
RESAMPLES, QUICK_RESAMPLES = 1_000, 40
LABELS, HELD, LATER, TRUTH = 240, 320, 600, 4_000
CLASSES, DIM = 4, 8
APART = (0.8, 1.5)
PROOFS = ("later", "split", "loo")


@dataclass(frozen=True)
class Setting:
    """A kind of world that calls come from."""

    name: str
    step: float = 0.0
    first_class: float = 1 / CLASSES
    copies: int = 1
    popular: int = 0
    noise: float = 0.0
    sizes: tuple[int, ...] = (LABELS,)


SETTINGS = (
    Setting("plain"),
    Setting("ties", step=1.5),
    Setting("imbalance", first_class=0.75),
    Setting("duplicates", copies=5),
    Setting("popular", popular=20),
    Setting("noise", noise=0.05),
    Setting("refits", sizes=(60, 120, 240)),
)


@dataclass(frozen=True)
class Calls:
    """Inputs, the teacher's answers, and which calls ask the same or nearly; a dataset has the same once."""

    x: np.ndarray
    y: np.ndarray
    inputs: np.ndarray

    def distinct(self) -> Calls:
        """One row of what is word for word the same: what is popular has a number below 0."""
        first = np.zeros(len(self.y), bool)
        first[np.unique(self.inputs, return_index=True)[1]] = True
        return self._take(first | (self.inputs >= 0))

    def new_to(self, known: Calls) -> Calls:
        """The distinct rows whose input is not known: what a split holds back."""
        rest = self._take((self.inputs >= 0) | ~np.isin(self.inputs, known.inputs))
        return rest.distinct()

    def _take(self, rows: np.ndarray) -> Calls:
        return Calls(self.x[rows], self.y[rows], self.inputs[rows])


class World:
    """Gaussian classes; the teacher answers an input as often with a class as the input comes from it."""

    def __init__(self, setting: Setting, rng: np.random.Generator) -> None:
        self._setting, self._rng = setting, rng
        self._means = rng.normal(size=(CLASSES, DIM)) * rng.uniform(*APART)
        rest = (1 - setting.first_class) / (CLASSES - 1)
        self._prior = np.array([setting.first_class, *[rest] * (CLASSES - 1)])
        # what is popular keeps its answer too: the teacher is asked once and says the same again
        self._popular = self._fresh(setting.popular) if setting.popular else None
        self._popular_y = self._answers(self._popular) if self._popular is not None else None

    def calls(self, n: int) -> Calls:
        """So many calls as they come."""
        x = self._fresh(n)
        y, inputs = self._answers(x), np.arange(n)
        if self._popular is not None:
            which = self._rng.integers(0, len(self._popular), n)
            known = self._rng.random(n) < 0.5
            x[known], y[known] = self._popular[which[known]], self._popular_y[which[known]]
            inputs[known] = -1 - which[known]
        elif self._setting.copies > 1:
            again = np.repeat(inputs, self._rng.integers(1, self._setting.copies + 1, n))[:n]
            x, y, inputs = x[again], y[again], again
        return Calls(x, y, inputs)

    def _fresh(self, n: int) -> np.ndarray:
        x = self._means[self._rng.choice(CLASSES, n, p=self._prior)] + self._rng.normal(size=(n, DIM))
        return np.round(x / self._setting.step) * self._setting.step if self._setting.step else x

    def worth(self, fitted: Fitted, thresholds: Sequence[float]) -> list[tuple[float, float]]:
        """Share of all calls to come that each threshold accepts, and their agreement."""
        x = self._fresh(TRUTH)
        odds = self._odds(x)
        weights = np.full(len(x), 1.0)
        if self._popular is not None:
            x, odds = np.vstack([x, self._popular]), np.vstack([odds, np.eye(CLASSES)[self._popular_y]])
            weights = np.append(weights, np.full(len(self._popular), TRUTH / len(self._popular)))
        said, scores = said_and_scores(fitted, x)
        agreement = odds[np.arange(len(x)), said]
        found = []
        for threshold in thresholds:
            accepted = weights * (scores >= threshold)
            share = accepted.sum() / weights.sum()
            found.append((share, float(accepted @ agreement / accepted.sum()) if share else 1.0))
        return found

    def _odds(self, x: np.ndarray) -> np.ndarray:
        """Chance of each answer to each input."""
        logits = np.log(self._prior) + x @ self._means.T - (self._means**2).sum(1) / 2
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        return (1 - self._setting.noise) * p + self._setting.noise * (1 - p) / (CLASSES - 1)

    def _answers(self, x: np.ndarray) -> np.ndarray:
        return (self._odds(x).cumsum(1) > self._rng.random((len(x), 1))).argmax(1)


def encoded(x: np.ndarray) -> Encoded:
    """Vectors in the place of an encoder's."""
    rows = np.hstack([x, np.ones((len(x), 1))])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Encoded(None, rows[:, None].astype(np.float32))


def fit(calls: Calls, seed: int) -> Fitted | None:
    """A surrogate with its gate, as training makes it; None where the teacher has said one thing only."""
    seen, numbers = np.unique(calls.y, return_inverse=True)
    if len(seen) == 1:
        return None
    return fit_model(
        Features(),
        encoded(calls.x),
        Candidate("ridge", False, "made"),
        (FieldSpec(name="", values=tuple(str(c) for c in seen)),),
        numbers[:, None],
        np.ones(len(calls.y)),
        np.unique(calls.inputs, return_inverse=True)[1].astype(np.int64),
        seed,
    )


def said_and_scores(fitted: Fitted, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answers and gate scores."""
    labels, scores = fitted.model.decide(encoded(x))
    return np.array(labels).astype(np.int64), scores


def certify(kind: str, fitted: Fitted, calls: Calls) -> float | None:
    """The threshold that this kind of proof gives, or None."""
    if kind == "loo":
        scores, agrees = fitted.scores, fitted.agrees
    else:
        said, scores = said_and_scores(fitted, calls.x)
        agrees = said == calls.y
    if kind == "later":
        asked = fitted.forecast
        run = ShadowProof(asked.shares, asked.thresholds, asked.agreement, target=TARGET, delta=DELTA)
        for score, agreed in zip(scores.tolist(), agrees.tolist(), strict=True):
            run.update(score, agreed)
            if run.settled or run.futile:
                break
        return run.proved.threshold if run.proved else None
    plan = fine_thresholds(fitted.scores, fitted.agrees, np.ones(len(fitted.scores)))
    proof = "loo" if kind == "loo" else "split"
    found = prove(proof, scores, agrees, plan, TARGET, DELTA, calls.inputs)
    return found.threshold if found else None


def life(setting: Setting, seed: int, kinds: Sequence[str]) -> Iterator[tuple[str, bool, bool, float]]:
    """One resample: the kind of proof, whether it issued a certificate, whether one was broken, coverage."""
    world = World(setting, np.random.default_rng(seed))
    rounds = []
    for n in setting.sizes:
        labels = world.calls(n).distinct()
        if (fitted := fit(labels, seed)) is not None:
            rounds.append((labels, fitted))
    found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for labels, fitted in rounds:
        rows = {"later": world.calls(LATER), "split": world.calls(HELD).new_to(labels), "loo": labels}
        thresholds = {kind: certify(kind, fitted, rows[kind]) for kind in kinds}
        issued = {k: t for k, t in thresholds.items() if t is not None}
        for kind, worth in zip(issued, world.worth(fitted, list(issued.values())), strict=True):
            found[kind].append(worth)
    for kind, all_worth in found.items():
        broken = any(agreement < TARGET for _, agreement in all_worth)
        yield kind, bool(all_worth), broken, all_worth[-1][0] if all_worth else 0.0


def run(report: Report, options: Options, setting: Setting) -> None:
    """All resamples of a setting."""
    kinds = [kind for kind in PROOFS if options.wants_case(f"{setting.name}/proof={kind}")]
    many = QUICK_RESAMPLES if options.quick else RESAMPLES
    found: dict[str, list[tuple[bool, bool, float]]] = defaultdict(list)
    for k in range(many):
        for kind, *rest in life(setting, options.seed * 1_000_003 + k, kinds):
            found[kind].append(tuple(rest))
    for kind, rows in found.items():
        case = f"{setting.name}/proof={kind}"
        issued, broken = (sum(row[column] for row in rows) for column in (0, 1))
        report.add(case, "jitr", "broken", broken / many)
        report.add(case, "jitr", "broken_low", lower_bound(broken, many, 0.05))
        report.add(case, "jitr", "broken_high", upper_bound(broken, many, 0.05))
        report.add(case, "jitr", "broken_issued", broken / max(1, issued))
        report.add(case, "jitr", "issued", issued / many)
        report.add(case, "jitr", "coverage", float(np.mean([row[2] for row in rows])))
        report.add(case, "jitr", "resamples", many)


def main() -> None:
    """Run."""
    options = parse(__doc__ or "")
    todo = [s for s in SETTINGS if any(options.wants_case(f"{s.name}/proof={kind}") for kind in PROOFS)]
    with Report("certificate", options, ["numpy", "scipy"], len(todo)) as report:
        for setting in todo:
            report.step(setting.name)
            run(report, options, setting)


if __name__ == "__main__":
    main()
