"""The card: one page for people about a surrogate, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from jitr.models.datasets.examples import Dataset
from jitr.models.surrogates.artifact.artifact import CARD, Manifest, Measured
from jitr.models.surrogates.artifact.plots import plot_link, plots
from jitr.models.surrogates.fit import Fitted

_WORST = 10
_MUCH_MB = 15.0


def pages(manifest: Manifest, measured: Measured, fitted: Fitted, dataset: Dataset) -> dict[str, str]:
    """The card of a surrogate that has just been trained, and the plots that it links, by file name."""
    drawn = plots(manifest, measured)
    svgs = {f"{name}.svg": svg for name, svg in drawn.items()}
    return {CARD: card(manifest, measured, fitted, dataset, drawn), **svgs}


def card(
    manifest: Manifest, measured: Measured, fitted: Fitted, dataset: Dataset, drawn: Collection[str] = ()
) -> str:
    """The card alone; ``drawn`` names the plots that stand beside it."""
    ceiling = (
        "not known: no input was asked twice"
        if dataset.self_agreement is None
        else f"{dataset.self_agreement:.3f} ({dataset.repeats} repeated calls)"
    )
    lines = [
        f"# Surrogate {manifest.version}",
        "",
        f"Task `{manifest.task}`, {manifest.candidate}, from {manifest.rows} distinct inputs"
        f" ({manifest.calls} calls, {manifest.conflicts} inputs with conflicting answers).",
        "",
        f"- agreement out of sample, all answers: {manifest.accuracy:.3f}",
        f"- the teacher's agreement with itself: {ceiling}",
        f"- answers in {measured.p99_ms:.1f} ms (p99, one core); trained in {measured.train_s:.1f} s",
        size_line(measured),
        f"- error budget: {manifest.budget.promises}",
        *_own_layers(fitted),
        "",
        "The table is a forecast from rows that the model had not seen; it proves nothing. A proof from rows",
        "held back stands in `certificate.json`; one from later calls stands in the task's route (`jitr",
        "routes`), and in the `certificate.json` that `jitr eject` writes.",
        "",
        "| share accepted | agreement of the accepted |",
        "|---|---|",
    ]
    for share, agreement in zip(manifest.shares, manifest.forecast_agreement, strict=True):
        if round(share * 1000) % 100 == 0:
            lines.append(f"| {share:.2f} | {agreement:.3f} |")
    lines += plot_link("coverage", drawn)
    wrong = Counter(label for label, ok in zip(dataset.labels, fitted.agrees, strict=True) if not ok)
    rows = Counter(dataset.labels)
    if wrong:
        lines += ["", "| label most often missed | rows | agreement |", "|---|---|---|"]
        for label, misses in wrong.most_common(_WORST):
            lines.append(f"| {_cell(label)} | {rows[label]} | {1 - misses / rows[label]:.2f} |")
    if fitted.confused:
        lines += ["", "| the teacher said | it said | times |", "|---|---|---|"]
        lines += [f"| {_cell(truth)} | {_cell(said)} | {n} |" for truth, said, n in fitted.confused]
    lines += plot_link("confusion", drawn)
    curve = measured.race[0].curve if measured.race else ()
    if len(curve) > 1:
        lines += ["", "| labels | agreement out of sample |", "|---|---|"]
        lines += [f"| {labels} | {accuracy:.3f} |" for labels, accuracy in curve]
    lines += plot_link("learning", drawn)
    lines += [
        "",
        "| candidate | labels | agreement | coverage | seconds | why it lost |",
        "|---|---|---|---|---|---|",
    ]
    for e in measured.race:
        lines.append(
            f"| {e.candidate} | {e.rows} | {e.accuracy:.3f} | {e.coverage:.2f} | {e.seconds:.1f} |"
            f" {e.lost or 'won'} |"
        )
    return "\n".join(lines) + "\n"


def size_line(measured: Measured) -> str:
    """Megabytes on disk; where they are many, what the next best candidate would have been worth."""
    told = f"- {measured.size_mb:.1f} MB on disk"
    others = [entry for entry in measured.race[1:] if entry.rows]
    if measured.size_mb <= _MUCH_MB:
        return told
    if not others:
        return f"{told}: more than {_MUCH_MB:.0f}, but no other candidate was within the limits"
    won, next_best = measured.race[0], max(others, key=lambda entry: (entry.coverage, entry.accuracy))
    return (
        f"{told}: more than {_MUCH_MB:.0f}, for a coverage of {won.coverage:.2f} at an agreement of"
        f" {won.accuracy:.3f}; the next best, {next_best.candidate}, reached {next_best.coverage:.2f} at"
        f" {next_best.accuracy:.3f} on {next_best.rows} labels"
    )


def _own_layers(fitted: Fitted) -> list[str]:
    """What a tuned encoder adds to the folder, and why where it is much."""
    features = fitted.model.features
    own = features.own_layers
    if own is None:
        return []
    size_mb = own.size_mb
    beside = ", beside those of the encoder" if features.beside else ""
    why = "; more than 15 MB, for in int8 they would give something else" if size_mb > _MUCH_MB else ""
    return [f"- the {own.layers} upper layers of its encoder are its own{beside}: {size_mb:.1f} MB{why}"]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:80]
