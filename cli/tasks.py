"""`jitr tasks`: what keeps coming back."""

from __future__ import annotations

import click
import msgspec

from jitr.cli.options import json_option, tenant_option, with_settings
from jitr.cli.output import console, print_json, table, usd
from jitr.cli.table import find, route_of, rows
from jitr.models.money import saved_usd
from jitr.schemas.settings import Settings


@click.group()
def tasks() -> None:
    """The recurring tasks that were found."""


@tasks.command("list")
@tenant_option
@json_option
@with_settings
def list_tasks(settings: Settings, tenant: str, as_json: bool) -> None:
    """List the tasks, most called first."""
    found = rows(settings, tenant)
    order = sorted(found.tasks.values(), key=lambda t: (-route_of(found, t.id).calls, t.id))
    if as_json:
        print_json(order)
        return
    console().print(
        table(
            f"{len(order)} tasks of {tenant}",
            ["task", "name", "kind", ">calls", ">labels", "route", ">teacher", ">saved"],
            [
                (
                    t.id,
                    t.name,
                    t.kind,
                    (r := route_of(found, t.id)).calls,
                    r.labels,
                    r.state,
                    usd(r.money.teacher_usd),
                    usd(saved_usd(r.money)),
                )
                for t in order
            ],
        )
    )


@tasks.command()
@click.argument("task")
@tenant_option
@json_option
@with_settings
def show(settings: Settings, task: str, tenant: str, as_json: bool) -> None:
    """Show one TASK (id, start of an id, or name): skeleton, labels, examples, route."""
    found = rows(settings, tenant)
    id = find(found, task)
    record, route = found.tasks.get(id), route_of(found, id)
    if as_json:
        print_json({"task": record, "route": route})
        return
    out = console()
    if record:
        out.print(f"[bold]{record.name}[/]  {id}  version {record.version}  {record.kind}", soft_wrap=True)
        for skeleton in record.skeletons:
            text = " <*> ".join((skeleton.prefix, *skeleton.inner, skeleton.suffix))
            out.print(f"  skeleton  {text!r}", markup=False, soft_wrap=True)
        out.print(f"  model     {record.signature.model}", markup=False)
        out.print(f"  labels    {', '.join(record.labels[:40])}", markup=False, soft_wrap=True)
        for example in record.examples[:3]:
            out.print(f"  example   {example[:200]!r}", markup=False, soft_wrap=True)
    out.print(
        f"  route     {route.state}, version {route.version}: {route.reason}", markup=False, soft_wrap=True
    )
    if route.surrogate:
        shown = msgspec.to_builtins(route.surrogate)
        out.print(f"  surrogate {shown['version']} on {shown['base']}", markup=False, soft_wrap=True)
