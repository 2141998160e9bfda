"""`jitr why`: who answered one call, and on what grounds."""

from __future__ import annotations

import asyncio
import time

import click

from jitr.cli.options import json_option, with_settings
from jitr.cli.output import console, print_json
from jitr.cli.topic import events_of, records, rows_of
from jitr.schemas.authors import UNSIGNED, Author
from jitr.schemas.calls import Call
from jitr.schemas.dialects import read_call
from jitr.schemas.errors import NotFoundError, RecordError
from jitr.schemas.labels import no_label
from jitr.schemas.routes import Transition
from jitr.schemas.settings import Settings
from jitr.schemas.signing import Signing

_SAYS = {
    "unchecked": "not looked at: no key of [signing] is set here",
    "unsigned": "by nobody: workers with keys take it for traffic, not for a decision",
    "forged": "wrongly: anybody may have written it; workers with keys take it for traffic",
}


@click.command()
@click.argument("decision_id")
@click.option("--days", default=7.0, show_default=True, help="How far back to look.")
@json_option
@with_settings
def why(settings: Settings, decision_id: str, days: float, as_json: bool) -> None:
    """Explain one decision: DECISION_ID is the `x-jitr-decision-id` header of the answer.

    Shows who answered, the gate's score, the audit and the transition that put the route in force.
    """
    call, author = asyncio.run(_find(settings, decision_id, time.time() - days * 86_400))
    if call is None or call.decision is None:
        raise NotFoundError(f"no call with decision {decision_id!r} in the last {days:g} days; try --days")
    stamp = call.decision
    step = (
        asyncio.run(_transition(settings, call.tenant, stamp.task, stamp.route_version))
        if stamp.task
        else None
    )
    if as_json:
        print_json({"decision": stamp, "signed_by": str(author), "call": call, "transition": step})
        return
    out = console()

    def say(text: str) -> None:
        out.print(text, markup=False, soft_wrap=True)

    say(f"decision {stamp.id}: {'the surrogate' if stamp.target == 'surrogate' else 'the teacher'} answered")
    named = [f"`{name}`" for name, reason in call.only_teacher.items() if reason == stamp.reason]
    say(f"  reason    {' '.join([stamp.reason, *named])}")
    say(f"  task      {stamp.task or 'none: no known task matched'}")
    if stamp.surrogate:
        verdict = "accepted" if stamp.accepted else "deferred"
        say(f"  surrogate {stamp.surrogate}, score {stamp.score}, {verdict}")
    if stamp.answer is not None:
        say(f"  answer    {stamp.answer!r}")
    if call.response is not None:
        say(f"  teacher   {call.response.text[:200]!r}")
    if call.status is not None:
        say(f"  status    {call.status}")
    if call.error is not None:
        say(f"  error     {call.error}")
    lacking = no_label(call) if stamp.target == "teacher" or stamp.due else None
    if lacking is not None:
        say(f"  no label  {lacking.said}: it teaches nothing, and proves or refutes nothing")
    if stamp.accepted:
        verdict = "an audit" if stamp.due else "no audit"
        say(f"  audit     {verdict}: coin {stamp.coin:.4f}, rate {stamp.audit_rate:.4f}")
    if step:
        by = f" ({step.by})" if step.by else ""
        say(f"  route     {step.route.state} since version {step.route.version}: {step.reason}{by}")
    say(f"  signed    {_SAYS.get(author.kind, f'by {author}')}")


async def _find(settings: Settings, decision_id: str, since: float) -> tuple[Call | None, Author]:
    signing, topic = Signing(settings), settings.topics.calls.name
    needle = decision_id.encode()
    async for record in records(settings, topic, since=since):
        if record.value is None or needle not in record.value:
            continue
        for event in events_of(record):
            if needle in event.data:
                try:
                    call = read_call(event)
                except RecordError:
                    continue
                if call.decision is not None and call.decision.id == decision_id:
                    return call, signing.author(topic, event)
    return None, UNSIGNED


async def _transition(settings: Settings, tenant: str, task: str, version: str) -> Transition | None:
    """The last step of the ledger at or before the version that the decision was made under."""
    best: Transition | None = None
    parts = version.split(".")
    wanted = tuple(map(int, parts)) if all(p.isdecimal() and len(p) < 20 for p in parts) else None
    async for record in records(settings, settings.topics.ledger.name):
        if record.value is None or task.encode() not in record.value:
            continue
        for step in rows_of(record, Transition):
            at = (step.route.version.incarnation, step.route.version.offset)
            # a refused command, or why no successor is trained, put no route in force
            moved = step.step and step.evidence_kind != "withheld"
            ours = moved and step.route.task == task and step.route.tenant == tenant
            if (
                ours
                and (wanted is None or at <= wanted)
                and (best is None or step.route.version > best.route.version)
            ):
                best = step
    return best
