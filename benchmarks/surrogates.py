"""Surrogates from recorded answers: how much they take over at a promised agreement, at what cost; and peers.

`--data DIR` holds labelled or LLM-answered sets; cases are `SET/n=LABELS/target=T/proof=KIND`. Proof `later`:
calls after training, apart from the rows that measure; `split`: 20 to 35% held back; `loo`:
leave-one-out (measured, not proved). `SET-official` has the set's own split, all others random re-splits with
groups of near-duplicates on one side. Peers on the same rows and sentence vectors: `tracer`, `tracer-trees`,
`linear-probe`; `ahead_of_PEER` is our coverage less theirs, over the same re-splits. Ours is proved at 95%,
TRACER's at 90%: `coverage_at_delta_0.1` is ours at theirs.
JITR_WEIGHTS names folders with more encoders, JITR_CACHE one that keeps features between runs, JITR_TRAIN_S
the CPU seconds that a training may take (600; with few, no layers are tuned).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from harness.options import Options, parse
from harness.report import Report
from labelled import made, peers, trial
from labelled.sets import LabelledSet, flipped, load

from jitr.models.encoders.cache import FeatureCache
from jitr.models.encoders.weights import Weights
from jitr.models.promise.held_back import share_held_back
from jitr.schemas.errors import TrainingError
from jitr.schemas.trainings import Limits

SIZES = (300, 1_000, 3_000)
LONG_SIZES = (500, 5_000)
TARGETS = (0.95, 0.90)
PROOFS = ("later", "split", "loo")
FLIP = 0.07
SPLITS = 3
TRACER_LIMIT_S, TREES_LIMIT_S = 240.0, 120.0
TRAIN_S = float(os.environ.get("JITR_TRAIN_S", "600"))
LIMITS = Limits(max_latency_ms=1_000.0, max_ram_mb=2_000.0, max_train_s=TRAIN_S)
LAXER = f"coverage_at_delta_{peers.TRACER_DELTA:g}"
PEERS = ("tracer", "tracer-trees", "linear-probe")
FOLDERS = tuple(Path(p) for p in os.environ.get("JITR_WEIGHTS", "").split(os.pathsep) if p)

Case = tuple[LabelledSet, int, bool]


def cases(options: Options) -> Iterator[Case]:
    """Sets, sizes, and whether the split is the set's own; of those that were asked for."""
    sets = list(load(options.data)) if options.data else [made.intents(options.seed)]
    for data in [*sets, *(flipped(s, FLIP, options.seed) for s in sets if s.long_and_binary and has_test(s))]:
        noisy = "flip=" in data.name
        for official in (False, True) if has_test(data) and not noisy else (noisy,):
            pool, _ = trial.pool_and_test(data, options.seed, official=official)
            between = SIZES if len(pool) > 3_000 else (*SIZES[:2], 2_000)
            sizes = (*(s for s in between if s < 0.95 * len(pool)), len(pool))
            if noisy:  # a set of 5,000 has a few less that are distinct
                sizes = tuple(min(s, len(pool)) for s in LONG_SIZES if 0.95 * s <= len(pool))
            for n in sizes:
                if n <= len(pool) and any(options.wants_case(c) for c in names(data, n, official)):
                    yield data, n, official
            if options.quick and not options.cases:
                break


def has_test(data: LabelledSet) -> bool:
    """Whether the set has a test split of its own."""
    return data.official_test is not None


def names(data: LabelledSet, n: int, official: bool) -> list[str]:
    """Every case of one training size."""
    where = f"{data.name}{'-official' if official and 'flip=' not in data.name else ''}/n={n}"
    return [f"{where}/target={t:.2f}/proof={p}" for t in TARGETS for p in PROOFS]


def run(report: Report, options: Options, case: Case, weights: Weights, plain: Weights) -> None:
    """Ours, then the peers, on each split of the rows."""
    data, n, official = case
    repeats = 1 if options.quick or official else SPLITS
    wanted = {c.rsplit("/target=", 1)[1]: c for c in names(data, n, official) if options.wants_case(c)}
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)

    def add(key: str, system: str, **metrics: float | None) -> None:
        if key in wanted:
            for metric, value in metrics.items():
                if value is not None:
                    found[key, system, metric].append(value)

    for seed in range(options.seed, options.seed + repeats):
        pool, test = trial.pool_and_test(data, seed, official=official)
        rows = trial.deal(data, pool, test, n)
        if options.wants_system("jitr"):
            ours(add, report, data, rows, weights, plain, seed, wanted)
        beside(add, report, options, data, rows, weights, wanted, seed)
    for (key, peer, metric), values in list(found.items()):
        mine = found.get((key, "jitr", metric), [])
        if metric == "coverage" and peer in PEERS and mine:
            if len(mine) == len(values):
                found[key, "jitr", f"ahead_of_{peer}"] = [a - b for a, b in zip(mine, values, strict=True)]
                if peer.startswith("tracer"):
                    laxer = zip(found[key, "jitr", LAXER], values, strict=True)
                    found[key, "jitr", f"{LAXER}_ahead_of_{peer}"] = [a - b for a, b in laxer]
            else:
                report.note(f"{wanted[key]}: {peer} answered on {len(values)} of {len(mine)} splits only")
    units = {"fit_s": "s", "answers_per_s": "1/s", "batched_per_s": "1/s", "size_mb": "MB"}
    for (key, system, metric), values in found.items():
        report.add(wanted[key], system, metric, float(np.mean(values)), units.get(metric, ""))
        if len(values) > 1 and metric.startswith(("coverage", "agreement", "accuracy", "ahead_of")):
            report.add(wanted[key], system, f"{metric}_sd", float(np.std(values, ddof=1)))


def ours(add, report, data, rows, weights, plain, seed, wanted) -> None:  # type: ignore[no-untyped-def]
    """Our figures for one split of the rows; by `split`, of a training without those held back."""
    many = round(len(rows.train) * share_held_back(len(rows.train)))
    for proofs, known in ((("later", "loo"), rows.train), (("split",), rows.train[many:])):
        asked = [key for key in wanted if key.endswith(proofs)]
        if not asked:
            continue
        where = f"{data.name} n={len(known)} for {' and '.join(proofs)}"
        try:
            trained = trial.train(data, known, weights, plain, seed, LIMITS)
        except TrainingError as error:
            report.note(f"{where}: {error}")
            for key in asked:
                add(key, "jitr", coverage=0.0, **({LAXER: 0.0} if "split" in proofs else {}))
            continue
        report.note(f"{where}: {trained.result.manifest.candidate}")
        scores, agrees, said = trial.scores_of(trained, data, rows.test)
        cost = costs(trained, data, known, rows.test, said)
        held = trial.apart(data, rows.train[:many], known) if "split" in proofs else rows.later
        shown = trial.scores_of(trained, data, held)[:2]
        for key in asked:
            target, proof = float(key.split("/")[0]), key.rsplit("=", 1)[1]
            if proof == "later":
                threshold, curve = trial.later_threshold(trained, *shown, target)
                add(key, "jitr", later_calls=float(len(held)))
                for k, t in curve.items():
                    add(key, "jitr", **{f"coverage_after_{k}": taken(scores, t)})
            elif proof == "loo":
                threshold = trial.loo_threshold(trained, data, known, target)
            else:
                threshold = trial.split_threshold(trained, data, held, *shown, target)
                laxer = trial.split_threshold(trained, data, held, *shown, target, peers.TRACER_DELTA)
                add(key, "jitr", **{LAXER: taken(scores, laxer)})
            accepted = scores >= (np.inf if threshold is None else threshold)
            agreement = float(agrees[accepted].mean()) if accepted.any() else None
            add(key, "jitr", coverage=taken(scores, threshold), agreement=agreement, **cost)
            add(key, "jitr", all_agreement=float(agrees.mean()), self_agreement=data.self_agreement)


def taken(scores: np.ndarray, threshold: float | None) -> float:
    """The share that a threshold takes over; nothing without one."""
    return 0.0 if threshold is None else float((scores >= threshold).mean())


def costs(
    trained: trial.Trained, data: LabelledSet, known: np.ndarray, test: np.ndarray, said: list[str]
) -> dict[str, float | None]:
    """Seconds, answers a second, megabytes; and how often the answers are right, where that is known."""
    gold = data.gold
    single, batched = trial.speeds(trained.plain, [data.texts[i] for i in known])
    return {
        "fit_s": trained.fit_s,
        "answers_per_s": single,
        "batched_per_s": batched,
        "size_mb": trained.result.measured.size_mb,
        "accuracy": float(np.mean([s == gold[i] for s, i in zip(said, test, strict=True)])) if gold else None,
    }


def beside(add, report, options, data, rows, weights, wanted, seed) -> None:  # type: ignore[no-untyped-def]
    """The peers, on the same rows; TRACER holds rows back itself, so that it stands beside `split`."""
    if not any(options.wants_system(peer) for peer in PEERS):
        return
    encoder = weights.encoder("minilm")
    vectors = encoder.encode_views([data.texts[i] for i in np.concatenate([rows.train, rows.test])])[:, 0]
    train, test = vectors[: len(rows.train)], vectors[len(rows.train) :]
    answers, truth = ([data.answers[i] for i in which] for which in (rows.train, rows.test))
    for key in wanted:
        target = float(key.split("/")[0])
        if not key.endswith("split"):
            continue
        for system, trees, limit in (
            ("tracer", False, TRACER_LIMIT_S),
            ("tracer-trees", True, TREES_LIMIT_S),
        ):
            if options.wants_system(system):
                said = peers.tracer(train, answers, test, truth, target, trees=trees, limit_s=limit)
                if "absent" in said:
                    report.note(f"{wanted[key]}: {system} {said['absent']}")
                else:
                    add(key, system, **said)
        if options.wants_system("linear-probe"):
            add(
                key,
                "linear-probe",
                **peers.linear_probe(train, answers, test, truth, target, seed, trial.DELTA),
            )
    published = peers.POODLE.get(round(len(rows.train), -2))
    if "flip=" in data.name and published is not None:
        for key in wanted:
            for system, accuracy in published.items():
                add(key, system, accuracy=accuracy)


def main() -> None:
    """Run."""
    options = parse(__doc__ or "")
    cache = FeatureCache(os.environ.get("JITR_CACHE"))
    weights = Weights(FOLDERS, cache=cache)
    plain = Weights(FOLDERS)
    todo = list(cases(options))
    with Report("surrogates", options, ["numpy", "onnxruntime", "scikit-learn"], len(todo)) as report:
        for case in todo:
            report.step(f"{case[0].name}/n={case[1]}{'/official' if case[2] else ''}")
            run(report, options, case, weights, plain)
            cache.save()


if __name__ == "__main__":
    main()
