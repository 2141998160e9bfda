"""`jitr tasks merge | split`: a person's word on tasks, sent to the tenant's one writer."""

from __future__ import annotations

import asyncio
import time
import uuid

import click

from jitr.cli.options import json_option, tenant_option, with_settings
from jitr.cli.output import print_json
from jitr.cli.speaker import speaker
from jitr.cli.table import find, rows
from jitr.cli.topic import producer
from jitr.models.tasks.records import curation
from jitr.router.table import Rows
from jitr.schemas.errors import ConfigError, NotFoundError
from jitr.schemas.events import encode_batch
from jitr.schemas.settings import Settings
from jitr.schemas.signing import Signing
from jitr.schemas.tasks import Task, TaskCommand, Template

note_option = click.option("--note", default="", help="Why; it stands in the task's history.")
dry_option = click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")


@click.command()
@click.argument("task")
@click.argument("other")
@click.option("--undo", is_flag=True, help="Let OTHER, which was merged into TASK, be itself again.")
@note_option
@dry_option
@tenant_option
@json_option
@with_settings
def merge(
    settings: Settings,
    task: str,
    other: str,
    undo: bool,
    note: str,
    dry_run: bool,
    tenant: str,
    as_json: bool,
) -> None:
    """Let OTHER go on as TASK: one task that matches by the templates of both.

    TASK keeps its id, name and route. The route of OTHER is paused: its calls are TASK's now, and where TASK
    has a surrogate that answers them too, audited as before. Both must have one signature (model, message
    shape, tools, response format).

    To take it back: `jitr tasks merge TASK OTHER --undo`. OTHER then has its id, name and templates again and
    its route goes on where it was paused; calls that came meanwhile stay with TASK.
    """
    found = rows(settings, tenant)
    into, gone = _record(found, task), _record(found, other)
    # a refusal here is one that the writer would give too
    after = curation.bring_back(into, gone) if undo else curation.merge(into, gone)
    word = _word(tenant, "undo" if undo else "merge", into, note, speaker(settings), other=gone.id)
    _say(settings, word, after, dry_run, as_json)


@click.command()
@click.argument("task")
@click.option("--template", type=click.IntRange(min=2), help="Which of its templates, as `show` counts them.")
@click.option("--slot", type=click.IntRange(min=1), help="Which slot of its first template, from 1.")
@click.option("--text", help="What stands in that slot in the calls that are to be a task of their own.")
@note_option
@dry_option
@tenant_option
@json_option
@with_settings
def split(
    settings: Settings,
    task: str,
    template: int | None,
    slot: int | None,
    text: str | None,
    note: str,
    dry_run: bool,
    tenant: str,
    as_json: bool,
) -> None:
    """Let some calls of TASK be a task of their own.

    Either those of one of its further templates (--template 2), or those whose slot holds a text (--slot 1
    --text "cause"; blanks count; where it is the only slot, those in which it begins so). TASK keeps its id,
    name and route; the new task begins at the teacher.

    To take it back: `jitr tasks merge TASK NEW`. A merge is taken back by `jitr tasks merge TASK OTHER
    --undo`, which also brings the old id and route back.
    """
    found = rows(settings, tenant)
    record = _record(found, task)
    chosen = _template(record, template, slot, text)
    after = curation.split(record, chosen)
    word = _word(tenant, "split", record, note, speaker(settings), template=chosen)
    _say(settings, word, (after,), dry_run, as_json)


def _record(found: Rows, word: str) -> Task:
    id = find(found, word)
    if id not in found.tasks:
        raise NotFoundError(f"{id} has a route and no record; wait until it is found again")
    return found.tasks[id]


def _template(task: Task, number: int | None, slot: int | None, text: str | None) -> Template:
    if (number is None) == (slot is None) or (slot is None) != (text is None):
        raise ConfigError("say which calls: --template N, or --slot N with --text TEXT")
    if number is not None:
        if number > len(task.templates):
            raise ConfigError(
                f"template {number} was given, and {task.id} has {len(task.templates)}; see `jitr tasks show`"
            )
        return task.templates[number - 1]
    if not task.templates:
        raise ConfigError(f"{task.id} has no template, and so no slot")
    assert slot is not None and text is not None
    return curation.narrowed(task.templates[0], slot - 1, text)


def _word(
    tenant: str,
    verb: str,
    task: Task,
    note: str,
    by: str,
    other: str | None = None,
    template: Template | None = None,
) -> TaskCommand:
    return TaskCommand(
        id=f"task-command-{uuid.uuid4()}",
        tenant=tenant,
        time=time.time(),
        verb=verb,  # type: ignore[arg-type]  # a literal at each caller
        task=task.id,
        other=other,
        template=template,
        by=by,
        note=note,
    )


def _say(
    settings: Settings, word: TaskCommand, after: tuple[Task, ...], dry_run: bool, as_json: bool
) -> None:
    if not dry_run:
        asyncio.run(_send(settings, word))
    if as_json:
        print_json({"command": word, "after": after, "sent": not dry_run})
        return
    click.echo(f"{word.verb} {word.task} {word.other or ''}: {'would be sent' if dry_run else 'sent'}")
    for task in after:
        state = f"goes on as {task.merged_into}" if task.merged_into else task.status
        click.echo(f"  {task.id}  {task.name}: {state}, {len(task.templates)} templates")
        for n, template in enumerate(task.templates, 1):
            click.echo(f"    {n}. {' '.join(curation.pattern_of(template).show().split())[:150]}")


async def _send(settings: Settings, word: TaskCommand) -> None:
    topic = settings.topics.unmatched.name
    seal = Signing(settings).seal("person", topic, word.by)
    value, headers = encode_batch([(word.id, word.time, word)], source="/jitr/cli", seal=seal)
    async with producer(settings) as out:
        # keyed by tenant: it comes to the one writer of this tenant's tasks, in its place among the calls
        await out.send_and_wait(topic, value, key=word.tenant.encode(), headers=headers)
