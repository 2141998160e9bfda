"""`jitr approve | promote | pause | unpause | rollback`: a person's word, sent as evidence."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Literal

import click

from jitr.cli.options import json_option, tenant_option, with_settings
from jitr.cli.output import print_json
from jitr.cli.speaker import speaker
from jitr.cli.table import find, route_of, rows
from jitr.cli.topic import producer
from jitr.models.lifecycle import fits
from jitr.schemas.errors import TransitionError
from jitr.schemas.events import encode_batch
from jitr.schemas.evidence import Command
from jitr.schemas.settings import Settings
from jitr.schemas.signing import Signing

Verb = Literal["approve", "promote", "pause", "unpause", "rollback"]
SAYS: dict[Verb, str] = {
    "approve": "Let the certified surrogate of TASK answer: a canary first.",
    "promote": "Let the surrogate of TASK answer all that it accepts, before the canary has its audits.",
    "pause": "Send all calls of TASK to the teacher until it is unpaused.",
    "unpause": "Return TASK to what it was before it was paused.",
    "rollback": "Retire the surrogate of TASK: the teacher answers.",
}


def _command(verb: Verb) -> click.Command:
    @click.command(verb, help=f"{SAYS[verb]}\n\nTASK is an id, the start of one, or a name.")
    @click.argument("task")
    @click.option("--note", default="", help="Why; it stands in the ledger.")
    @click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
    @tenant_option
    @json_option
    @with_settings
    def command(settings: Settings, task: str, note: str, dry_run: bool, tenant: str, as_json: bool) -> None:
        found = rows(settings, tenant)
        id = find(found, task)
        route = route_of(found, id)
        if refusal := fits(route, verb):
            raise TransitionError(f"cannot {verb} {id}: {refusal}")
        word = Command(
            id=f"command-{uuid.uuid4()}",
            tenant=tenant,
            task=id,
            time=time.time(),
            verb=verb,
            by=speaker(settings),
            note=note,
        )
        if not dry_run:
            asyncio.run(_send(settings, word))
        said = "would be sent" if dry_run else "sent"
        if as_json:
            print_json({"command": word, "state": route.state, "sent": not dry_run})
        else:
            click.echo(f"{verb} {id} (now {route.state}): {said}")

    return command


async def _send(settings: Settings, word: Command) -> None:
    topic = settings.topics.evidence.name
    seal = Signing(settings).seal("person", topic, word.by)
    value, headers = encode_batch([(word.id, word.time, word)], source="/jitr/cli", seal=seal)
    async with producer(settings) as out:
        await out.send_and_wait(topic, value, key=word.task.encode(), headers=headers)


approve = _command("approve")
promote = _command("promote")
pause = _command("pause")
unpause = _command("unpause")
rollback = _command("rollback")
