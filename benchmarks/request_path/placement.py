"""One core for what is measured, the others for everything else; and what a process has used."""

from __future__ import annotations

import os
import sys

import psutil

# as they were at the start: this process may be moved, too
_OURS = sorted(os.sched_getaffinity(0)) if sys.platform.startswith("linux") else []


def measured(pid: int) -> None:
    """Put a process, and all its threads and children to come, on the first core."""
    cores = _cores()
    if cores is not None:
        _move(pid, {cores[0]})


def around(pid: int) -> None:
    """Put a process on all cores but the first."""
    cores = _cores()
    if cores is not None:
        _move(pid, set(cores[1:]))


def placed() -> bool:
    """Whether this machine lets us place processes: Linux, with two cores or more."""
    return _cores() is not None


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process and its children have used."""
    whole = psutil.Process(pid)
    times = [p.cpu_times() for p in (whole, *whole.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children, in MB."""
    whole = psutil.Process(pid)
    return sum(p.memory_info().rss for p in (whole, *whole.children(recursive=True))) / 1e6


def _cores() -> list[int] | None:
    return _OURS if len(_OURS) > 1 else None


def _move(pid: int, cores: set[int]) -> None:
    whole = psutil.Process(pid)
    for process in (whole, *whole.children(recursive=True)):
        for thread in process.threads():
            os.sched_setaffinity(thread.id, cores)
