"""How often a certificate is broken: 1,000 surrogates, each trained, certified and asked 10,000 more calls.

Cases `SETTING/proof=KIND`: `plain`, `ties` (few different scores), `imbalance` (one class has 9 calls in 10),
`duplicates` (calls come again up to five times), `noise` (the teacher agrees with itself 90% of the time),
`refits` (trained anew at doublings; every certificate of a life counts). Metrics: `broken`, the share of
lives with a certificate whose true agreement lies under the target; `broken_low` and `broken_high`, its 95%
bounds; `issued`, the share that got one; `coverage`. `later` and `split` must not be broken more often than
delta; `loo` is measured, not proved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from harness.options import Options, parse
from harness.report import Report

from jitr.models.promise.bounds import lower_bound, upper_bound
from jitr.models.promise.held_back import fine_thresholds, prove
from jitr.models.promise.shadow import ShadowProof
from jitr.models.surrogates.base import Encoded, Features
from jitr.models.surrogates.candidates import Candidate
from jitr.models.surrogates.fields import FieldSpec
from jitr.models.surrogates.fit import Fitted, fit_model

TARGET, DELTA = 0.90, 0.05
LIVES, QUICK_LIVES = 1_000, 40
LABELS, HELD, LATER, ASKED = 240, 160, 600, 10_000
CLASSES, DIM = 4, 8
PROOFS = ("later", "split", "loo")


@dataclass(frozen=True)
class Setting:
    """A world that calls come from."""

    name: str
    step: float = 0.0
    first_class: float = 1 / CLASSES
    copies: int = 1
    noise: float = 0.0
    sizes: tuple[int, ...] = (LABELS,)


SETTINGS = (
    Setting("plain"),
    Setting("ties", step=1.5),
    Setting("imbalance", first_class=0.9),
    Setting("duplicates", copies=5),
    Setting("noise", noise=0.05),
    Setting("refits", sizes=(60, 120, 240)),
)

Calls = tuple[np.ndarray, np.ndarray, np.ndarray]


def draw(setting: Setting, n: int, rng: np.random.Generator, means: np.ndarray, *, again: bool) -> Calls:
    """So many calls: vectors, answers, groups of duplicates."""
    rest = (1 - setting.first_class) / (CLASSES - 1)
    y = rng.choice(CLASSES, n, p=[setting.first_class, *[rest] * (CLASSES - 1)])
    x = means[y] + rng.normal(size=(n, DIM))
    if setting.step:
        x = np.round(x / setting.step) * setting.step
    wrong = rng.random(n) < setting.noise
    y = np.where(wrong, (y + rng.integers(1, CLASSES, n)) % CLASSES, y)
    groups = np.arange(n)
    if again and setting.copies > 1:
        first = np.repeat(groups, rng.integers(1, setting.copies + 1, n))[:n]
        x, y, groups = x[first], y[first], first
    order = rng.permutation(n)
    return x[order], y[order], groups[order]


def encoded(x: np.ndarray) -> Encoded:
    """Vectors in the place of an encoder's."""
    rows = np.hstack([x, np.ones((len(x), 1))])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Encoded(None, rows[:, None].astype(np.float32))


def fit(calls: Calls, seed: int) -> Fitted:
    """A linear surrogate with its gate, as training makes it."""
    x, y, groups = calls
    seen, numbers = np.unique(y, return_inverse=True)
    fields = (FieldSpec(name="", values=tuple(str(c) for c in seen)),)
    return fit_model(
        Features(),
        encoded(x),
        Candidate("linear", False, "made"),
        fields,
        numbers[:, None],
        np.ones(len(y)),
        groups,
        seed,
    )


def scored(fitted: Fitted, calls: Calls) -> tuple[np.ndarray, np.ndarray]:
    """Gate scores and agreement on these calls."""
    labels, scores = fitted.model.decide(encoded(calls[0]))
    return scores, np.array(labels) == calls[1].astype(str)


def certify(kind: str, fitted: Fitted, calls: Calls) -> float | None:
    """The threshold that this kind of proof gives, or None."""
    if kind == "later":
        plan = fitted.forecast
        run = ShadowProof(plan.shares, plan.thresholds, plan.agreement, target=TARGET, delta=DELTA)
        for score, agreed in zip(*scored(fitted, calls), strict=True):
            run.update(float(score), bool(agreed))
            if run.settled or run.futile:
                break
        return run.proved.threshold if run.proved else None
    thresholds, forecast = fine_thresholds(fitted.scores, fitted.agrees, np.ones(len(fitted.scores)))
    scores, agrees = (fitted.scores, fitted.agrees) if kind == "loo" else scored(fitted, calls)
    found = prove("loo" if kind == "loo" else "split", scores, agrees, thresholds, forecast, TARGET, DELTA)
    return found.threshold if found else None


def life(setting: Setting, seed: int, kinds: list[str]) -> Iterator[tuple[str, bool, bool, float]]:
    """One life: proof, whether a certificate was issued, whether it was broken, its coverage."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(CLASSES, DIM)) * 1.1
    truth = draw(setting, ASKED, rng, means, again=False)
    rounds = []
    for n in setting.sizes:
        known = draw(setting, n, rng, means, again=True)
        if len(np.unique(known[1])) > 1:
            rounds.append(fit(known, seed))
    for kind in kinds:
        issued, broken, covers = False, False, 0.0
        for fitted in rounds:
            calls = draw(setting, LATER if kind == "later" else HELD, rng, means, again=True)
            threshold = certify(kind, fitted, calls)
            if threshold is None:
                continue
            scores, agrees = scored(fitted, truth)
            accepted = scores >= threshold
            issued, covers = True, float(accepted.mean())
            broken |= bool(accepted.any()) and float(agrees[accepted].mean()) < TARGET
        yield kind, issued, broken, covers


def run(report: Report, options: Options, setting: Setting) -> None:
    """All lives of a setting."""
    kinds = [kind for kind in PROOFS if options.wants_case(f"{setting.name}/proof={kind}")]
    lives = QUICK_LIVES if options.quick else LIVES
    found: dict[str, list[tuple[bool, bool, float]]] = defaultdict(list)
    for k in range(lives):
        for kind, *rest in life(setting, options.seed * 1_000_003 + k, kinds):
            found[kind].append(tuple(rest))
    for kind, rows in found.items():
        case = f"{setting.name}/proof={kind}"
        broken = sum(row[1] for row in rows)
        report.add(case, "jitr", "broken", broken / lives)
        report.add(case, "jitr", "broken_low", lower_bound(broken, lives, 0.05))
        report.add(case, "jitr", "broken_high", upper_bound(broken, lives, 0.05))
        report.add(case, "jitr", "issued", sum(row[0] for row in rows) / lives)
        report.add(case, "jitr", "coverage", float(np.mean([row[2] for row in rows])))
        report.add(case, "jitr", "lives", lives)


def main() -> None:
    """Run."""
    options = parse(__doc__ or "")
    todo = [s for s in SETTINGS if any(options.wants_case(f"{s.name}/proof={kind}") for kind in PROOFS)]
    with Report("certificate", options, ["numpy", "scikit-learn"], len(todo)) as report:
        for setting in todo:
            report.step(setting.name)
            run(report, options, setting)


if __name__ == "__main__":
    main()
