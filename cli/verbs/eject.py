"""`jitr eject`: a surrogate that answers without jitr."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from jitr.cli.options import json_option, tenant_option, with_settings
from jitr.cli.output import console, print_json
from jitr.cli.table import find, route_of, rows
from jitr.models.encoders.weights import Weights
from jitr.models.lifecycle.rows import live, on_offer
from jitr.models.surrogates.artifact.artifact import MANIFEST, read_measured
from jitr.models.surrogates.artifact.certificate import of_route
from jitr.models.surrogates.artifact.eject import eject as write
from jitr.router.scoring.fetch import local_path
from jitr.schemas.errors import NotFoundError, UnavailableError
from jitr.schemas.routes import SurrogateRef
from jitr.schemas.settings import Settings


@click.command()
@click.argument("task")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--weights",
    multiple=True,
    envvar="JITR_WEIGHTS",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with more encoders; repeatable.",
)
@tenant_option
@json_option
@with_settings
def eject(
    settings: Settings, task: str, folder: Path, weights: tuple[Path, ...], tenant: str, as_json: bool
) -> None:
    """Write the surrogate of TASK into FOLDER, with its encoders and an `answer.py` that needs no jitr.

    TASK is a task (id, start of an id, or name) whose surrogate is proved, or the folder of a surrogate that
    `jitr fit` wrote. The certificate goes with it, and `answer.py` answers from its threshold on.
    """
    if (Path(task) / MANIFEST).is_file():
        write(Path(task), folder, Weights(weights))
    else:
        ref = _proved(settings, task, tenant)
        with _here(ref.uri) as source:
            certificate = of_route(ref, len(read_measured(source).race))
            write(source, folder, Weights(weights), certificate)
    if as_json:
        print_json({"folder": str(folder), "run": f"python {folder / 'answer.py'} TEXT"})
    else:
        console().print(f"written to {folder}; `python {folder / 'answer.py'} TEXT` answers", soft_wrap=True)


def _proved(settings: Settings, task: str, tenant: str) -> SurrogateRef:
    """The surrogate of a task that answers, or may: the one on offer, where none does."""
    found = rows(settings, tenant)
    route = route_of(found, find(found, task))
    ref = live(route) or on_offer(route)
    if ref is not None and ref.proof is not None:
        return ref
    last = route.surrogate or route.candidate
    if last is None:
        raise NotFoundError(f"task {task!r} has no surrogate yet; `jitr routes` shows how far it is")
    raise NotFoundError(
        f"nothing is proved of task {task!r} as it stands: its surrogate {last.version[:12]} is {last.state};"
        " `jitr routes` shows how far it is"
    )


@contextmanager
def _here(uri: str) -> Iterator[Path]:
    """The folder of an artifact on this machine; one that lies elsewhere is fetched for so long."""
    folder = local_path(uri)
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory() as aside:
        try:
            from fsspec.core import url_to_fs  # not in the base install

            files, root = url_to_fs(uri)
            files.get(root.rstrip("/") + "/", f"{aside}/copy/", recursive=True)
        except (ImportError, OSError, ValueError) as error:
            raise UnavailableError(
                f"the surrogate lies at {uri} and cannot be fetched: {error}; install what reads that (fsspec"
                " comes with jitr[agents]), or run this where it can be read"
            ) from error
        yield Path(aside) / "copy"
