"""Where an artifact is on this machine: where its URI says, or in a copy of what lies elsewhere."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from asyncio import Future
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit


async def folder_of(uri: str, digest: str, cache: Path) -> Path:
    """The folder of an artifact; one from afar is copied once.

    The copy is made in a thread that keeps no program from ending, however long it hangs.

    Parameters
    ----------
    uri, digest : str
        As a route names it; what it holds is verified when it is loaded.
    cache : Path
        Where copies are kept, by digest.

    Raises
    ------
    OSError
        There is no such folder, or nothing that could fetch it.
    """
    here = local_path(uri)
    if here is None:
        return await _in_daemon(lambda: _copied(uri, digest, cache))
    if not here.is_dir():
        raise FileNotFoundError(f"{here} is no folder")
    return here


def local_path(uri: str) -> Path | None:
    """The path that a URI names on this machine, or None if it lies elsewhere.

    Examples
    --------
    >>> local_path("file:///tmp/a%20b"), local_path("state/x"), local_path("s3://bucket/x")
    (PosixPath('/tmp/a b'), PosixPath('state/x'), None)
    """
    if "://" not in uri:
        return Path(uri)
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _copied(uri: str, digest: str, cache: Path) -> Path:
    goal = cache / digest.replace(":", "-")
    if goal.is_dir():
        return goal
    try:
        from fsspec.core import url_to_fs  # not in the base install
    except ImportError as error:
        raise FileNotFoundError(
            f"{uri} is no local path; install fsspec (it comes with jitr[agents]) to fetch it"
        ) from error
    files, root = url_to_fs(uri)
    cache.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=cache))
    try:
        files.get(root.rstrip("/") + "/", f"{aside}/copy/", recursive=True)
        # verified on load each time, so that a damaged copy cannot hide
        (aside / "copy").rename(goal)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return goal


async def _in_daemon(work: Callable[[], Path]) -> Path:
    loop = asyncio.get_running_loop()
    future: Future[Path] = loop.create_future()

    def settle(found: Path | None, error: BaseException | None) -> None:
        if future.done():
            return
        if found is None:
            future.set_exception(error or RuntimeError("nothing was fetched"))
        else:
            future.set_result(found)

    def run() -> None:
        found: Path | None = None
        failure: BaseException | None = None
        try:
            found = work()
        except Exception as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, found, failure)

    threading.Thread(target=run, name="jitr-fetch", daemon=True).start()
    return await future
