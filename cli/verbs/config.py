"""`jitr config`: what is set, and whether it can be."""

from __future__ import annotations

import re
from typing import Any, Final

import click
import msgspec

from jitr.cli.options import with_settings
from jitr.cli.output import print_json
from jitr.models.redaction.redaction import Redaction
from jitr.schemas.settings import Settings
from jitr.schemas.urls import HIDDEN, safe_url

_SECRET: Final = re.compile(
    r"(?:^|_)(?:password|passphrase|secrets?|token|upstream_key|gateway_keys|worker_keys)$"
)


@click.group()
def config() -> None:
    """The settings in force."""


@config.command()
@with_settings
def validate(settings: Settings) -> None:
    """Read the settings; an unknown key or a wrong value is named, with the nearest right one."""
    Redaction(settings)  # a pattern that cannot be read is said here
    kafka, state = safe_url(settings.kafka.bootstrap), safe_url(settings.state.root)
    click.echo(f"settings are good: Kafka {kafka}, state {state}")


@config.command()
@with_settings
def show(settings: Settings) -> None:
    """Print the settings in force as JSON, without secrets."""
    print_json(without_secrets(msgspec.to_builtins(settings)))


def without_secrets(tree: Any, name: str = "") -> Any:
    """Settings as they may be shown: no password, and no URL that holds one.

    Examples
    --------
    >>> without_secrets({"redis": {"url": "redis://me:pw@host"}, "kafka": {"password": "pw", "prefix": ""}})
    {'redis': {'url': 'redis://me:***@host'}, 'kafka': {'password': '***', 'prefix': ''}}
    """
    if isinstance(tree, dict) and name == "people":
        return dict.fromkeys(tree, HIDDEN)
    if isinstance(tree, dict):
        return {key: without_secrets(value, key) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [without_secrets(value, name) for value in tree]
    if not isinstance(tree, str) or not tree:
        return tree
    if _SECRET.search(name):
        return HIDDEN
    return safe_url(tree) if "://" in tree or "@" in tree else tree
