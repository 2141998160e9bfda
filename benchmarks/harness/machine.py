"""On what a figure was measured: a figure without that says little."""

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def header(seed: int, packages: Iterable[str] = ()) -> dict[str, Any]:
    """The first line of a benchmark's output.

    Parameters
    ----------
    seed : int
        Seed of the run.
    packages : iterable of str
        Packages whose versions matter here, besides Python and jitr.

    Returns
    -------
    dict
        ``machine``, ``cores`` (usable by this process), ``versions``, ``seed``, ``commit``.
    """
    versions = {"python": platform.python_version()}
    for name in ("jitr", *packages):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return {
        "machine": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "versions": versions,
        "seed": seed,
        "commit": _commit(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    """The commit of this checkout, with a plus where files differ from it."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short=12", "HEAD")
    return (commit + ("+" if git("status", "--porcelain", "-uno") else "")) or "unknown"
