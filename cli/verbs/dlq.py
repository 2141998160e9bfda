"""`jitr dlq`: events that could not be used, and how to send them again."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import click

from jitr.cli.options import json_option, with_settings
from jitr.cli.output import console, print_json, table
from jitr.cli.topic import producer, records
from jitr.schemas.deadletters import DeadLetter, marked, replay_mark
from jitr.schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class Filed:
    """A letter, its partition and offset on the dead-letter topic, and whether it was sent again.

    ``known`` says that it came from a topic of ours: the headers of a letter are whatever was written there.
    """

    letter: DeadLetter
    place: tuple[int, int]
    replayed: bool
    known: bool = True


@click.group()
def dlq() -> None:
    """Dead letters: events that could not be used, with their original bytes and the reason."""


@dlq.command("list")
@click.option("--limit", default=50, show_default=True, help="The last so many.")
@json_option
@with_settings
def list_letters(settings: Settings, limit: int, as_json: bool) -> None:
    """List the last dead letters and count their reasons."""
    filed = asyncio.run(_filed(settings, None))
    if as_json:
        print_json([_shown(one) for one in filed[-limit:]])
        return
    letters = [one.letter for one in filed]
    counts = Counter((letter.stage, letter.reason.partition(":")[0][:80]) for letter in letters)
    out = console()
    rows = [(n, stage, reason) for (stage, reason), n in counts.most_common(20)]
    done = sum(one.replayed for one in filed)
    title = f"{len(letters)} dead letters" + (f", {done} of them sent again" if done else "")
    out.print(table(title, [">count", "stage", "~reason"], rows))
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
@click.option("--again", is_flag=True, help="Also letters that were sent again before.")
@click.option("--dry-run", is_flag=True, help="Count them, and send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_settings
def replay(
    settings: Settings, reason: str | None, again: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Send dead letters to the topic they came from once more, bytes and headers as they were.

    What was mended meanwhile is used; what is still wrong comes back as a new dead letter. A letter that was
    sent again is marked on the dead-letter topic, and left out the next time.
    """
    filed = asyncio.run(_filed(settings, reason))
    ours = [one for one in filed if one.known]
    due = [one for one in ours if again or not one.replayed]
    if due and not dry_run and not yes:
        click.confirm(f"send {len(due)} dead letters again?", abort=True, err=True)
    if not dry_run:
        asyncio.run(_send(settings, due))
    before = len(ours) - len(due)
    strange = len(filed) - len(ours)
    if as_json:
        sent = 0 if dry_run else len(due)
        print_json({"letters": len(due), "sent": sent, "sent_before": before, "of_no_topic_of_ours": strange})
        return
    left_out = f"; {before} were sent before (--again sends them too)" if before else ""
    left_out += f"; {strange} come from no topic of ours and are left" if strange else ""
    click.echo(f"{len(due)} dead letters {'would be' if dry_run else 'were'} sent again{left_out}")


def _shown(one: Filed) -> dict[str, object]:
    letter = one.letter
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "stage": letter.stage,
        "reason": letter.reason,
        "stack": letter.stack,
        "value": letter.value.decode("utf-8", "replace"),
        "replayed": one.replayed,
    }


async def _filed(settings: Settings, reason: str | None) -> list[Filed]:
    letters: dict[tuple[int, int], DeadLetter] = {}
    done: set[tuple[int, int]] = set()
    async for record in records(settings, settings.topics.dead_letters.name):
        mark = marked(record.headers)
        if mark is not None:
            done.add(mark)
            continue
        letter = DeadLetter.read(record.value or b"", record.key, record.headers)
        if reason is None or reason in letter.reason:
            letters[record.partition, record.offset] = letter
    known = {topic.name for topic in settings.topics.all()} - {settings.topics.dead_letters.name}
    return [Filed(x, place, place in done, x.topic in known) for place, x in letters.items()]


async def _send(settings: Settings, due: list[Filed]) -> None:
    marks = settings.topics.dead_letters.name
    async with producer(settings) as out:
        for one in due:
            letter = one.letter
            # first the letter: one that dies in between sends it twice, and never forgets it
            sent = await out.send(
                letter.topic, letter.value, key=letter.key, headers=list(letter.original_headers)
            )
            await sent
            await out.send(marks, b"", headers=replay_mark(*one.place))
