"""What races found, kept beside the surrogates by training: the next training of a task begins there."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import fsspec
import msgspec

from jitr.models.surrogates.artifact.artifact import RaceEntry
from jitr.models.training.search.prior import Prior
from jitr.schemas.trainings import Training


def race_before(root: str, training: Training) -> Prior:
    """What the race of the training before found; nothing where it was not run, or failed.

    Parameters
    ----------
    root : str
        Where surrogates are kept.
    training : Training
        It alone says whose race is read: nothing else that lies there counts.
    """
    if training.previous is None:
        return Prior()
    fs, path = fsspec.core.url_to_fs(_url(root, training.task, training.previous))
    try:
        with fs.open(path, "rb") as file:
            return Prior(msgspec.json.decode(file.read(), type=tuple[RaceEntry, ...]), same=True)
    except (OSError, msgspec.DecodeError):
        return Prior()


def keep_race(root: str, training: Training, entries: tuple[RaceEntry, ...]) -> None:
    """Keep what the race of this training found."""
    fs, path = fsspec.core.url_to_fs(_url(root, training.task, training.id))
    fs.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
    aside = f"{path}.{os.getpid()}.tmp"
    with fs.open(aside, "wb") as file:
        file.write(msgspec.json.encode(entries))
    fs.mv(aside, path)


def _url(root: str, task: str, id: str) -> str:
    return f"{root.rstrip('/')}-races/{task}/{id}.json"
