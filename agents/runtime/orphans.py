"""A child process that outlives its parent by a second at most, however the parent ended."""

from __future__ import annotations

import os
import threading
import time

_LOOK_S = 1.0


def end_with(parent: int) -> None:
    """End this process as soon as its parent is no longer the process `parent`.

    A parent that is killed closes nothing: a child that waits for work on a pipe would wait for ever.

    Parameters
    ----------
    parent : int
        Process id, taken by the parent itself where that is possible: it may be gone before we look.

    Examples
    --------
    >>> end_with(os.getppid())
    """
    threading.Thread(target=_watch, args=(parent,), name="end with parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)
