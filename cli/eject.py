"""`jitr eject`: a surrogate that answers without jitr."""

from __future__ import annotations

from pathlib import Path

import click

from jitr.cli.options import json_option, tenant_option, with_settings
from jitr.cli.output import console, print_json
from jitr.cli.table import find, route_of, rows
from jitr.models.bases.weights import Weights
from jitr.models.surrogates.artifact import MANIFEST
from jitr.models.surrogates.eject import eject as write
from jitr.schemas.errors import NotFoundError
from jitr.schemas.settings import Settings


@click.command()
@click.argument("task")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--weights",
    multiple=True,
    envvar="JITR_WEIGHTS",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with more base models; repeatable.",
)
@tenant_option
@json_option
@with_settings
def eject(
    settings: Settings, task: str, folder: Path, weights: tuple[Path, ...], tenant: str, as_json: bool
) -> None:
    """Write the surrogate of TASK into FOLDER, with its encoder and an `answer.py` that needs no jitr.

    TASK is a task (id, start of an id, or name), or the folder of a surrogate that `jitr fit` wrote.
    """
    source = Path(task)
    if not (source / MANIFEST).is_file():
        found = rows(settings, tenant)
        surrogate = route_of(found, find(found, task)).surrogate
        if surrogate is None:
            raise NotFoundError(f"task {task!r} has no surrogate yet; `jitr routes` shows how far it is")
        source = Path(surrogate.uri.removeprefix("file://"))
    write(source, folder, Weights(weights))
    if as_json:
        print_json({"folder": str(folder), "run": f"python {folder / 'answer.py'} TEXT"})
    else:
        console().print(f"written to {folder}; `python {folder / 'answer.py'} TEXT` answers", soft_wrap=True)
