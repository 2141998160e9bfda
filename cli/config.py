"""`jitr config`: what is set, and whether it can be."""

from __future__ import annotations

import re

import click
import msgspec

from jitr.cli.options import with_settings
from jitr.cli.output import print_json
from jitr.schemas.settings import Settings


@click.group()
def config() -> None:
    """The settings in force."""


@config.command()
@with_settings
def validate(settings: Settings) -> None:
    """Read the settings; an unknown key or a wrong value is named, with the nearest right one."""
    click.echo(f"settings are good: Kafka {settings.kafka.bootstrap}, state {settings.state.root}")


@config.command()
@with_settings
def show(settings: Settings) -> None:
    """Print the settings in force as JSON, without secrets."""
    shown = msgspec.to_builtins(settings)
    shown["redis"]["url"] = redacted(shown["redis"]["url"])
    shown["gateway"]["upstream"] = redacted(shown["gateway"]["upstream"])
    print_json(shown)


def redacted(url: str) -> str:
    """A URL without the password in it.

    Examples
    --------
    >>> redacted("redis://me:secret@host:1/0")
    'redis://me:***@host:1/0'
    """
    return re.sub(r"(//[^/:@]*):[^@/]*@", r"\1:***@", url)
