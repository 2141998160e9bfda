"""`jitr publish`: put a log of calls on the calls topic."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click

from jitr.cli.options import json_option, with_settings
from jitr.cli.output import print_json, progress
from jitr.cli.topic import producer
from jitr.models.redaction.redaction import Redaction
from jitr.offline.lines import call_lines
from jitr.schemas.calls import Call
from jitr.schemas.events import encode_batch
from jitr.schemas.settings import Settings


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tenant", default=None, help="Tenant of calls that name none.")
@click.option(
    "--pack", default=50, show_default=True, type=click.IntRange(1, 1000), help="Calls a Kafka record."
)
@json_option
@with_settings
def publish(settings: Settings, file: Path, tenant: str | None, pack: int, as_json: bool) -> int:
    """Publish a log of calls: JSON lines (also .gz) in any dialect.

    A line is a call (`model`, `messages`, `response` ...) or an OpenAI pair (`request`, `response`).
    Lines that cannot be read are named and left out; then the exit code is 1. A call without an id gets one
    from its file and line, so that publishing a file twice counts once; one without a time is of now.
    """
    done = asyncio.run(_publish(settings, file, tenant or settings.gateway.tenant, pack, as_json))
    if as_json:
        print_json(done)
    else:
        click.echo(
            f"published {done['published']} calls to {settings.topics.calls.name}, {done['refused']} refused"
        )
    return 1 if done["refused"] else 0


async def _publish(settings: Settings, file: Path, tenant: str, pack: int, quiet: bool) -> dict[str, int]:
    done = {"published": 0, "refused": 0, "records": 0}
    topic = settings.topics.calls.name
    redact = Redaction(settings)
    async with producer(settings) as out:
        waiting: list[Call] = []

        async def send() -> None:
            value, headers = encode_batch(
                [(c.id, c.time, c) for c in waiting], source=f"/jitr/publish/{file.name}"
            )
            await out.send(topic, value, headers=headers)
            done["published"] += len(waiting)
            done["records"] += 1
            waiting.clear()

        with progress(quiet) as bar:
            shown = bar.add_task("publishing", total=None)
            for call in call_lines(file, tenant, now=time.time()):
                bar.advance(shown)
                if isinstance(call, str):
                    done["refused"] += 1
                    click.echo(call, err=True)
                    continue
                waiting.append(redact.call(call))
                if len(waiting) == pack:
                    await send()
            if waiting:
                await send()
    return done
