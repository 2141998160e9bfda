"""`jitr dlq`: events that could not be used, and how to send them again."""

from __future__ import annotations

import asyncio
from collections import Counter

import click

from jitr.cli.options import json_option, with_settings
from jitr.cli.output import console, print_json, table
from jitr.cli.topic import producer, records
from jitr.schemas.deadletters import DeadLetter
from jitr.schemas.settings import Settings


@click.group()
def dlq() -> None:
    """Dead letters: events that could not be used, with their original bytes and the reason."""


@dlq.command("list")
@click.option("--limit", default=50, show_default=True, help="The last so many.")
@json_option
@with_settings
def list_letters(settings: Settings, limit: int, as_json: bool) -> None:
    """List the last dead letters and count their reasons."""
    letters = asyncio.run(_letters(settings, None))
    if as_json:
        print_json([_shown(letter) for letter in letters[-limit:]])
        return
    counts = Counter((letter.stage, letter.reason.partition(":")[0][:80]) for letter in letters)
    out = console()
    rows = [(n, stage, reason) for (stage, reason), n in counts.most_common(20)]
    out.print(table(f"{len(letters)} dead letters", [">count", "stage", "~reason"], rows))
    last = [
        (
            f"{x.topic}/{x.partition}/{x.offset}",
            x.stage,
            x.reason[:100],
            x.value[:60].decode("utf-8", "replace"),
        )
        for x in letters[-limit:]
    ]
    out.print(table(f"the last {len(last)}", ["from", "stage", "~reason", "begins"], last))


@dlq.command()
@click.option("--reason", default=None, help="Only letters whose reason holds this text.")
@click.option("--dry-run", is_flag=True, help="Count them, and send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_settings
def replay(settings: Settings, reason: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Send dead letters to the topic they came from once more, bytes and headers as they were.

    What was mended meanwhile is used; what is still wrong comes back as a new dead letter.
    """
    letters = asyncio.run(_letters(settings, reason))
    if letters and not dry_run and not yes:
        click.confirm(f"send {len(letters)} dead letters again?", abort=True, err=True)
    if not dry_run:
        asyncio.run(_send(settings, letters))
    if as_json:
        print_json({"letters": len(letters), "sent": 0 if dry_run else len(letters)})
    else:
        click.echo(f"{len(letters)} dead letters {'would be' if dry_run else 'were'} sent again")


def _shown(letter: DeadLetter) -> dict[str, object]:
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "stage": letter.stage,
        "reason": letter.reason,
        "stack": letter.stack,
        "value": letter.value.decode("utf-8", "replace"),
    }


async def _letters(settings: Settings, reason: str | None) -> list[DeadLetter]:
    letters = [
        DeadLetter.read(record.value or b"", record.key, record.headers)
        async for record in records(settings, settings.topics.dead_letters.name)
    ]
    return [letter for letter in letters if reason is None or reason in letter.reason]


async def _send(settings: Settings, letters: list[DeadLetter]) -> None:
    async with producer(settings) as out:
        for letter in letters:
            topic = letter.topic or settings.topics.calls.name
            await out.send(topic, letter.value, key=letter.key, headers=list(letter.original_headers))
