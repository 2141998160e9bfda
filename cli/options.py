"""Options that many verbs share, and the settings they give."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from jitr.schemas.settings import Settings

Command = Callable[..., Any]
PORT = click.IntRange(0, 65_535)


def with_settings(command: Command) -> Command:
    """Add ``--config --kafka --redis --state`` and hand the command its `Settings` as first argument."""

    @click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        default=lambda: os.environ.get("JITR_CONFIG"),
        help="Settings file (TOML); JITR_CONFIG names it too.",
    )
    @click.option("--kafka", metavar="HOST:PORT", help="Kafka's bootstrap server.")
    @click.option("--redis", metavar="URL", help="Redis, for example redis://127.0.0.1:6379/0.")
    @click.option("--state", metavar="URL", help="Where state, datasets and artifacts are kept.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        config: Path | None,
        kafka: str | None,
        redis: str | None,
        state: str | None,
        **kwargs: Any,
    ) -> Any:
        flags = {"kafka.bootstrap": kafka, "redis.url": redis, "state.root": state}
        return command(Settings.load(config, flags=flags), *args, **kwargs)

    return wrapped


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON on standard output, and nothing else."
)
tenant_option = click.option("--tenant", default="default", show_default=True, help="Whose tasks.")
