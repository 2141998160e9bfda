"""The folder that a fit writes to: only surrogates are ever removed, and no crash loses a certified one.

``<name>.new`` holds the one that was just made. It takes the folder's place in two renames, between which the
one that stood there is ``<name>.old``; what a crash left of that is put right by the next fit.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from jitr.models.surrogates.artifact.artifact import ARRAYS, CARD, CERTIFICATE, GRAMS, MANIFEST, MEASURED
from jitr.models.surrogates.artifact.certificate import read_certificate
from jitr.schemas.errors import ConfigError

# stands in a folder that is about to be replaced: one that a person named `.old` has none
_MARK = "replaced"
_PARTS = {MANIFEST, ARRAYS, GRAMS, MEASURED, CARD, CERTIFICATE, _MARK}
_MADE_LATER = (".svg", ".tmp")  # plots; a certificate that was being written


class _Sign(msgspec.Struct):
    """What tells the manifest of a surrogate, of whatever format, from other files of this name."""

    format: int
    version: str
    candidate: str


@dataclass(frozen=True)
class AtomicFolder:
    """A folder and its two neighbours; make it with `atomic_folder_of`."""

    folder: Path
    aside: Path
    old: Path

    def prepare(self) -> None:
        """Put right what a crash left, and refuse what must not be removed, before anything is trained.

        Raises
        ------
        ConfigError
            The folder or one of its neighbours holds something else than a surrogate that may be replaced.
        """
        if self.old.exists():
            if not (self.old / _MARK).is_file():
                raise ConfigError(
                    f"{self.old} is in the way: what {self.folder.name} holds is moved there while it is"
                    " replaced; rename or remove it"
                )
            if _empty(self.folder):
                self._finish()
            self._drop_old()
        _check(self.folder)
        self._check_aside()
        (self.folder / _MARK).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what an earlier fit left aside."""
        self._check_aside()
        if self.aside.exists():
            shutil.rmtree(self.aside)

    def put(self) -> None:
        """What is aside takes the folder's place."""
        if not _empty(self.folder):
            (self.folder / _MARK).touch()
            self.folder.rename(self.old)
        self.aside.rename(self.folder)
        self._drop_old()

    def _finish(self) -> None:
        """After a crash between the two renames: the second one, or the first one back."""
        if not _empty(self.aside) and read_certificate(self.aside) is not None:
            self.aside.rename(self.folder)
        else:
            self.old.rename(self.folder)

    def _drop_old(self) -> None:
        if not self.old.exists():
            return
        for path in self.old.iterdir():
            if path.name != _MARK:  # last, so that what a crash leaves can still be told
                path.unlink()
        shutil.rmtree(self.old)

    def _check_aside(self) -> None:
        _check(self.aside)
        certificate = None if _empty(self.aside) else read_certificate(self.aside)
        if certificate is not None and certificate.rank == 2:
            raise ConfigError(
                f"{self.aside} holds a certified surrogate, and would be overwritten; rename or remove it"
            )


def atomic_folder_of(folder: Path) -> AtomicFolder:
    """The folder, a link followed, and what stands beside it."""
    folder = folder.resolve()
    return AtomicFolder(
        folder, folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
    )


def _check(folder: Path) -> None:
    """Refuse a folder that holds anything but a surrogate."""
    if _empty(folder):
        return
    try:
        msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_Sign)
        others = sorted(
            path.name
            for path in folder.iterdir()
            if path.is_dir() or (path.name not in _PARTS and path.suffix not in _MADE_LATER)
        )
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(
            f"{folder} is not empty and holds no surrogate, and would be overwritten; give a new folder,"
            " or empty this one"
        ) from None
    if others:
        raise ConfigError(
            f"{folder} holds `{others[0]}` beside a surrogate, and would be overwritten; give a new folder,"
            " or move that out of it"
        )


def _empty(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
