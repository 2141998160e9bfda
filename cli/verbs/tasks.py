"""`jitr tasks`: what keeps coming back."""

from __future__ import annotations

import click
import msgspec
from rich.console import Console
from rich.markup import escape

from jitr.cli.account import figures
from jitr.cli.account import lines as account
from jitr.cli.options import json_option, tenant_option, with_settings
from jitr.cli.output import console, moment, plain, print_json, table, usd
from jitr.cli.table import find, route_of, rows
from jitr.cli.verbs.curate import merge, split
from jitr.models.answers.label_space import LabelSpace
from jitr.models.economics.money import saved_usd
from jitr.models.tasks.records.curation import pattern_of
from jitr.router.table import Rows
from jitr.schemas.routes import Route
from jitr.schemas.settings import Settings
from jitr.schemas.tasks import Change, Task

_MIX = 12
_SHOWN = 300


@click.group()
def tasks() -> None:
    """The recurring tasks that were found."""


tasks.add_command(merge)
tasks.add_command(split)


@tasks.command("list")
@click.option("--all", "every", is_flag=True, help="Also candidates, and tasks that were merged or are gone.")
@tenant_option
@json_option
@with_settings
def list_tasks(settings: Settings, every: bool, tenant: str, as_json: bool) -> None:
    """List the tasks, most called first."""
    found = rows(settings, tenant)
    shown = [t for t in found.tasks.values() if every or t.status == "task"]
    order = sorted(shown, key=lambda t: (-route_of(found, t.id).calls, t.id))
    if as_json:
        print_json(order)
        return
    out = console()
    columns = ["task", "name", "kind", ">calls", ">labels", "route", ">teacher", ">saved", "may be one with"]
    out.print(table(f"{len(order)} tasks of {tenant}", columns, [_row(found, t) for t in order]))
    if any(t.proposals for t in order):
        out.print("`jitr tasks proposals` shows those that may be one; `jitr tasks merge` makes them one.")


def _row(found: Rows, task: Task) -> tuple[object, ...]:
    route = route_of(found, task.id)
    state = f"goes on as {task.merged_into}" if task.merged_into else route.state
    others = [found.tasks[p.other].name for p in task.proposals if p.other in found.tasks]
    saved, billed = usd(saved_usd(route.money)), usd(route.money.teacher_usd)
    status = state if task.status in ("task", "merged") else task.status
    return (
        task.id,
        task.name,
        task.kind,
        route.calls,
        route.labels,
        status,
        billed,
        saved,
        ", ".join(others[:2]),
    )


class Proposed(msgspec.Struct, frozen=True):
    """A pair that `jitr tasks proposals --json` prints; the task with more calls first."""

    task: str
    other: str
    names: tuple[str, str]
    likeness: float
    shared_labels: float
    calls: tuple[int, int]
    templates: tuple[str, str]


@tasks.command()
@tenant_option
@json_option
@with_settings
def proposals(settings: Settings, tenant: str, as_json: bool) -> None:
    """Show tasks that may be one in other words.

    `jitr tasks merge` makes them one.

    Likeness is the cosine of their instructions' meaning, labels the share of the smaller label set that both
    have. Opposite questions can be alike too: read both before you merge. Nothing is proposed where the
    worker has no sentence encoder (`jitr doctor`).
    """
    found = rows(settings, tenant)
    pairs = _pairs(found)
    if as_json:
        print_json(pairs)
        return
    out = console()
    if not pairs:
        out.print(f"no two tasks of {tenant} seem to be one (or the worker has no encoder: its log says so)")
    for p in pairs:
        out.print(
            f"[bold]{p.likeness:.2f}[/] alike, {p.shared_labels:.0%} of labels shared:  "
            f"jitr tasks merge {p.task} {p.other}",
            soft_wrap=True,
        )
        for name, calls, template in zip(p.names, p.calls, p.templates, strict=True):
            out.print(plain(f"  {name} ({calls} calls)  {template[:200]}"), soft_wrap=True)


def _pairs(found: Rows) -> list[Proposed]:
    pairs = []
    for task in found.tasks.values():
        for p in task.proposals:
            other = found.tasks.get(p.other)
            if task.status != "task" or other is None or other.status != "task":
                continue
            two = (task, other)
            calls = tuple(max(route_of(found, t.id).calls, t.calls) for t in two)
            # each of the two says it: the one with more calls is asked
            if (-calls[0], task.id) < (-calls[1], other.id):
                shown = tuple(" ".join(_shown(t).split()) for t in two)
                pairs.append(
                    Proposed(
                        task.id,
                        other.id,
                        (task.name, other.name),
                        p.likeness,
                        p.shared_labels,
                        (calls[0], calls[1]),
                        (shown[0], shown[1]),
                    )
                )
    return sorted(pairs, key=lambda p: (-p.likeness, p.task, p.other))


def _shown(task: Task) -> str:
    return pattern_of(task.templates[0]).show() if task.templates else ""


@tasks.command()
@click.argument("task")
@tenant_option
@json_option
@with_settings
def show(settings: Settings, task: str, tenant: str, as_json: bool) -> None:
    """Show one TASK (id, start of an id, or name): templates, examples, labels, volume, spend, history.

    Slots are marked {...}; the first template is the prompt of today, further ones are those before it was
    edited, or of tasks merged into it. How often the teacher agrees with itself is measured on inputs that
    came twice by themselves, and shown with how many those were: nothing is asked for it.
    """
    found = rows(settings, tenant)
    id = find(found, task)
    record, route = found.tasks.get(id), route_of(found, id)
    if as_json:
        print_json({"task": record, "route": figures(route)})
        return
    out = console()
    if record:
        _show_task(out, record, found)
    _show_route(out, route, settings.policy_of(tenant, id).target)


def _line(out: Console, key: str, text: str) -> None:
    out.print(plain(f"  {key:<12}{text}"), soft_wrap=True)


def _show_task(out: Console, task: Task, found: Rows) -> None:
    out.print(f"[bold]{escape(task.name)}[/]  {task.id}  version {task.version}  {task.kind}", soft_wrap=True)
    if task.merged_into:
        _line(out, "merged", f"goes on as {task.merged_into}; its templates match for that one")
    _line(out, "model", f"{task.signature.model} ({task.signature.shape})")
    for n, template in enumerate(task.templates, 1):
        text = pattern_of(template).show()
        _line(out, f"template {n}", text if len(text) <= 4 * _SHOWN else text[: 4 * _SHOWN] + " ...")
    for example in task.examples[:3]:
        _line(out, "example", repr(example[:_SHOWN]))
    mix = _mix(task)
    if mix:
        _line(out, "answers", mix)
    for p in task.proposals:
        other = found.tasks.get(p.other)
        _line(
            out,
            "like",
            f"{p.likeness:.2f} {other.name if other else ''} ({p.other}), {p.shared_labels:.0%} of labels"
            f" shared; to make them one: jitr tasks merge {task.id} {p.other}",
        )
    for change in task.history:
        _line(out, f"v{change.version}", _told(change))


def _mix(task: Task) -> str:
    """The labels with their shares of the answers that finding has seen."""
    seen = sum(task.counts) + task.unparsed
    if not task.labels or not seen:
        return ", ".join(task.labels[:_MIX])
    pairs = zip(task.labels, task.counts, strict=False)
    shown = [f"{LabelSpace.of(task).render(label)!r} {n / seen:.0%}" for label, n in pairs][:_MIX]
    more = len(task.labels) - len(shown)
    rest = [f"{more} more"] if more > 0 else []
    rest += [f"{task.unparsed / seen:.0%} other"] if task.unparsed else []
    return ", ".join(shown + rest) + f" (of {seen} answers)"


def _told(change: Change) -> str:
    when = moment(change.time)
    says = {
        "found": "found",
        "refined": "more calls told its words better",
        "edited": "its prompt was edited",
        "took": f"{change.other} goes on in it",
        "merged": f"merged into {change.other}",
        # a task that came out of another begins so
        "split": f"split off {change.other}" if change.version == 1 else f"{change.other} was split off it",
        "restored": f"the merge with {change.other} was undone",
        "retired": "its template is gone",
    }[change.kind]
    by = f", by {change.by}" if change.by else ""
    note = f": {change.note}" if change.note else ""
    shown = " ".join(change.template.split())
    return f"{when}  {says}{by}{note}" + (f"  ({shown[:80]})" if shown else "")


def _show_route(out: Console, route: Route, target: float) -> None:
    money = route.money
    _line(out, "route", f"{route.state}, version {route.version}: {route.reason}")
    _line(out, "volume", f"{route.calls:,} calls, {money.answered_calls:,} of them answered by a surrogate")
    _line(
        out,
        "spend",
        f"teacher {usd(money.teacher_usd)}, audits {usd(money.audit_usd)}, surrogate and shadow "
        f"{usd(money.surrogate_usd + money.shadow_usd)}, training {usd(money.train_usd)}",
    )
    for key, text in account(route, target):
        _line(out, key, text)
    if route.surrogate:
        _line(
            out,
            "surrogate",
            f"{route.surrogate.version} on {route.surrogate.encoders}, {route.surrogate.state}",
        )
