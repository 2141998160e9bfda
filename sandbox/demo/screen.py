"""The live view of the demo."""

from __future__ import annotations

from rich.console import Group
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from jitr.models.economics.money import saved_usd
from jitr.sandbox.demo.story import Story
from jitr.schemas.routes import Route

COLOURS = {
    "active": "bold green",
    "canary": "green",
    "offered": "cyan",
    "hold": "bold yellow",
    "demoted": "bold red",
    "paused": "magenta",
}


class Screen:
    """Renders the state of a story; give it to `rich.live.Live`."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        )
        self._calls = self._bar.add_task("calls", total=story.calls)

    def __rich__(self) -> Group:
        """The whole screen."""
        story = self._story
        sent = story.driver.outcomes
        self._bar.update(self._calls, completed=len(sent), description=f"[bold]{story.phase}[/]")
        return Group(self._tasks(), self._totals(), self._log(), self._bar)

    def _tasks(self) -> Table:
        watch = self._story.watch
        answered: dict[str, int] = {}
        calls: dict[str, int] = {}
        for outcome in self._story.driver.outcomes:
            if outcome.found:
                calls[outcome.found] = calls.get(outcome.found, 0) + 1
                answered[outcome.found] = answered.get(outcome.found, 0) + (outcome.route == "surrogate")
        table = Table(title="tasks", title_justify="left", header_style="dim", pad_edge=False, expand=True)
        for name in ("task", "answers", "state", "surrogate", "certificate"):
            table.add_column(name, no_wrap=True)
        for name in ("calls", "labels", "replaced", "audits", "saved"):
            table.add_column(name, justify="right", no_wrap=True)
        known = [t for t in watch.tasks.values() if t.status == "task"]
        known.sort(key=lambda t: (-calls.get(t.id, 0), t.id))
        for task in known[:14]:
            route = watch.routes.get(task.id) or Route(tenant=task.tenant, task=task.id)
            version = route.surrogate or route.candidate
            proof = version.proof if version else None
            share = answered.get(task.id, 0) / max(1, calls.get(task.id, 0))
            table.add_row(
                watch.name(task.id)[:34],
                task.kind,
                Text(_state(route), style=COLOURS.get(route.state, "")),
                f"{version.encoders} on {version.labels}" if version else "",
                f">= {proof.bound:.3f} of {proof.coverage:.0%}" if proof else "",
                str(calls.get(task.id, 0)),
                str(route.labels),
                f"{share:.0%}" if share else "",
                f"{route.agreed}/{route.audits}" if route.audits else "",
                f"${saved_usd(route.money):.4f}" if share else "",
            )
        return table

    def _totals(self) -> Text:
        watch, outcomes = self._story.watch, self._story.driver.outcomes
        saved = sum(saved_usd(r.money) for r in watch.routes.values())
        states = [r.state for r in watch.routes.values()]
        answered = sum(o.route == "surrogate" for o in outcomes)
        errors = sum(o.error is not None for o in outcomes)
        text = (
            f"tasks {sum(t.status == 'task' for t in watch.tasks.values())}   "
            f"surrogates answering {sum(s in ('canary', 'active') for s in states)}   "
            f"calls answered by them {answered}   errors {errors}   net saved ${saved:.4f}"
        )
        return Text(text, style="bold")

    def _log(self) -> Panel:
        watch = self._story.watch
        lines = [
            f"{m.at_s:6.1f} s  {watch.name(m.task)[:30]:<30}  {m.kind:<8} {m.text}"[:150]
            for m in watch.moments[-9:]
        ]
        return Panel(Text("\n".join(lines)), title="what happened", title_align="left")


def _state(route: Route) -> str:
    if route.state == "teacher" and route.candidate is not None:
        return "shadow"
    return "collecting" if route.state == "teacher" else route.state
