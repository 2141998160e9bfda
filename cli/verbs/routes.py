"""`jitr routes`, `jitr offers`, `jitr ledger`: what happens to each task's calls, and why."""

from __future__ import annotations

import asyncio

import click
import msgspec

from jitr.cli.account import figures, saved, shadow
from jitr.cli.options import json_option, tenant_option, with_settings
from jitr.cli.output import console, moment, print_json, table
from jitr.cli.table import find, rows
from jitr.cli.topic import records, rows_of
from jitr.router.table import Rows
from jitr.schemas.routes import Proof, Route, Transition
from jitr.schemas.settings import Settings

# 2000-01-01: no LLM call is older, and who numbers its calls in the place of a time stays below
_EARLIEST = 946_684_800.0


@click.command()
@tenant_option
@json_option
@with_settings
def routes(settings: Settings, tenant: str, as_json: bool) -> None:
    """Show the routing table: who answers each task, how well, and what it saved."""
    found = rows(settings, tenant)
    _show(
        found, sorted(found.routes.values(), key=lambda r: (-r.calls, r.task)), f"routes of {tenant}", as_json
    )


@click.command()
@tenant_option
@json_option
@with_settings
def offers(settings: Settings, tenant: str, as_json: bool) -> None:
    """Show the certified surrogates that wait for a person's word (`jitr approve TASK`).

    Below them, the tasks that are not trained on, and why: a training would not pay for itself, or the
    teacher agrees with itself too seldom (measured on inputs that come twice by themselves).
    """
    found = rows(settings, tenant)
    waiting = [
        r
        for r in found.routes.values()
        if r.state == "offered" or (r.candidate is not None and r.candidate.state == "certified")
    ]
    _show(found, waiting, f"offers of {tenant}", as_json)
    withheld = [(r, r.withheld) for r in found.routes.values() if r.withheld is not None]
    if withheld and not as_json:
        lines = [
            (r.task, found.tasks[r.task].name if r.task in found.tasks else "", r.labels, why.reason)
            for r, why in sorted(withheld, key=lambda pair: (-pair[0].calls, pair[0].task))
        ]
        columns = ["task", "name", ">labels", "~why"]
        console().print(table(f"{len(withheld)} tasks that are not trained on", columns, lines))


def _show(found: Rows, shown: list[Route], title: str, as_json: bool) -> None:
    if as_json:
        print_json([figures(route) for route in shown])
        return
    lines = []
    for route in shown:
        task = found.tasks.get(route.task)
        version = route.surrogate or route.candidate
        proof = version.proof if version else None
        lines.append(
            (
                route.task,
                task.name if task else "",
                route.state,
                version.encoders if version else "",
                _proved(proof, shadow(route)),
                f"{route.agreed}/{route.audits}" if route.audits else "",
                f"{route.audit_rate:.3f}",
                saved(route),
                route.reason,
            )
        )
    columns = ["task", "name", "state", "encoders", "certificate", ">audits", ">rate", ">saved", "~why"]
    console().print(table(f"{len(shown)} {title}", columns, lines))


def _proved(proof: Proof | None, shadow: str) -> str:
    """What is proved of the version that is shown, and how far the proof of its successor has come."""
    told = [f">= {proof.bound:.3f} on {proof.coverage:.0%}"] if proof else []
    return "; ".join(told + ([f"shadow: {shadow}"] if shadow else []))


@click.command()
@click.argument("task", required=False)
@tenant_option
@json_option
@with_settings
def ledger(settings: Settings, task: str | None, tenant: str, as_json: bool) -> None:
    """Show every transition, of one TASK or of all, each with its evidence."""
    id = find(rows(settings, tenant), task) if task else None
    steps = asyncio.run(_steps(settings, tenant, id))
    if as_json:
        print_json(steps)
        return
    lines = [
        (
            _when(s),
            s.route.task,
            f"{s.previous} -> {s.route.state}",
            s.evidence_kind,
            s.by,
            s.reason,
            str(s.route.version),
        )
        for s in steps
    ]
    console().print(
        table(
            f"{len(steps)} transitions", ["time", "task", "step", "evidence", "by", "~why", "version"], lines
        )
    )


def _when(step: Transition) -> str:
    """The time of a step; empty where its evidence came of calls that told none."""
    if step.time < _EARLIEST:
        return ""
    return moment(step.time)


async def _steps(settings: Settings, tenant: str, task: str | None) -> list[Transition]:
    seen = {}
    async for record in records(settings, settings.topics.ledger.name):
        if record.value is None:
            continue
        for step in rows_of(record, Transition):
            if step.time < _EARLIEST and record.timestamp > 0:
                # it was written soon after it happened
                step = msgspec.structs.replace(step, time=record.timestamp / 1000)
            if step.route.tenant == tenant and task in (None, step.route.task):
                seen[step.route.task, step.route.version] = step
    return sorted(seen.values(), key=lambda s: (s.time, s.route.version))
