"""Figures on their way to the reader: JSON lines as they are made, or tables; a progress bar beside them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from harness.machine import header
from harness.options import Options


class Report:
    """Collects the figures of one benchmark.

    With `--json` the header and then each figure is one line on standard output, at once, so that a run
    that is stopped has said what it knew. Else there is one table a case in the end. The progress bar
    and remarks go to standard error.

    Parameters
    ----------
    benchmark : str
        Its name, that of the file.
    options : Options
        The command line.
    packages : iterable of str
        Packages whose versions the header shows.
    steps : int, optional
        How many times `step` will be called.

    Examples
    --------
    ::

        with Report("detect", options, ["river"], steps=len(cases)) as report:
            for case in cases:
                report.step(case.name)
                report.add(case.name, "jitr", "ari", 0.997)
    """

    def __init__(
        self, benchmark: str, options: Options, packages: Iterable[str] = (), steps: int | None = None
    ):
        self.benchmark = benchmark
        self.options = options
        self.header = header(options.seed, packages)
        self.figures: list[dict[str, Any]] = []
        self._notes: list[str] = []
        self._stderr = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._stderr,
            transient=True,
        )
        self._steps = steps
        self._task: TaskID | None = None

    def __enter__(self) -> Report:
        if self.options.json:
            _line(self.header)
        self._bar.start()
        self._task = self._bar.add_task(self.benchmark, total=self._steps)
        return self

    def step(self, name: str) -> None:
        """Say what is being done now; the step before is done."""
        assert self._task is not None, "use the report in a with statement"
        if self._bar.tasks[0].description != self.benchmark:
            self._bar.advance(self._task)
        self._bar.update(self._task, description=name)
        if not self._stderr.is_terminal:
            print(f"{self.benchmark}: {name}", file=sys.stderr, flush=True)

    def add(self, case: str, system: str, metric: str, value: float | None, unit: str = "") -> None:
        """Report a figure; None where a system has none."""
        figure = {
            "benchmark": self.benchmark,
            "case": case,
            "system": system,
            "metric": metric,
            "value": value if value is None else float(f"{value:.6g}"),
            "unit": unit,
        }
        self.figures.append(figure)
        if self.options.json:
            _line(figure)

    def note(self, text: str) -> None:
        """Say something beside the figures: what was left out, and why."""
        self._notes.append(text)
        self._bar.console.print(f"note: {text}", highlight=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if not self.options.json:
            console = Console()
            self._tables(console if console.is_terminal else Console(width=160))

    def _tables(self, console: Console) -> None:
        head = self.header
        versions = ", ".join([f"{k} {v}" for k, v in head["versions"].items()])
        console.print(
            f"{self.benchmark}: {head['machine']}, {head['cores']} cores; {versions};"
            f" seed {head['seed']}; commit {head['commit']}",
            highlight=False,
        )
        for case in dict.fromkeys([f["case"] for f in self.figures]):
            rows = [f for f in self.figures if f["case"] == case]
            metrics = list(dict.fromkeys([f["metric"] for f in rows]))
            systems = list(dict.fromkeys([f["system"] for f in rows]))
            table = Table(title=case, title_justify="left")
            table.add_column("metric", no_wrap=True)
            for system in systems:
                table.add_column(system, justify="right")
            for metric in metrics:
                held = {f["system"]: f for f in rows if f["metric"] == metric}
                unit = next(iter(held.values()))["unit"]
                label = f"{metric} ({unit})" if unit else metric
                table.add_row(label, *[_shown(held[s]["value"]) if s in held else "" for s in systems])
            console.print(table)
        for text in self._notes:
            console.print(f"note: {text}", highlight=False)


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _line(record: dict[str, Any]) -> None:
    print(json.dumps(record), flush=True)
