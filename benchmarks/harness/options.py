"""The command line that all benchmarks share."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """What a benchmark was asked to do.

    Parameters
    ----------
    data : tuple of Path
        Folders of data; without any, a benchmark makes its own.
    cases, systems : tuple of str
        Shell patterns (``t0/*``); empty for all.
    seed : int
        Seed of everything random.
    quick : bool
        A short run, for a first look and for CI.
    json : bool
        One JSON object a line on standard output, and nothing else there.
    """

    data: tuple[Path, ...] = ()
    cases: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    seed: int = 1
    quick: bool = False
    json: bool = False

    def wants_case(self, case: str) -> bool:
        """Whether a case was asked for."""
        return not self.cases or any(fnmatch(case, pattern) for pattern in self.cases)

    def wants_system(self, system: str) -> bool:
        """Whether a system was asked for; `jitr` is ours, all others are peers."""
        return not self.systems or any(fnmatch(system, pattern) for pattern in self.systems)


def parse(description: str, arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; `--help` shows the first paragraph of `description`.

    Examples
    --------
    >>> options = parse("A benchmark.", ["--cases", "t0/*,one-liners", "--quick"])
    >>> options.wants_case("t0/noise=0.3"), options.wants_case("sapt/first"), options.seed
    (True, False, 1)
    """
    parser = argparse.ArgumentParser(description=description.strip().split("\n\n")[0])
    add = parser.add_argument
    add(
        "--data",
        action="append",
        type=_folder,
        default=[],
        metavar="DIR",
        help="a folder of data; repeatable",
    )
    add("--cases", type=_names, default=(), metavar="A,B", help="shell patterns of the cases to run")
    add(
        "--systems",
        type=_names,
        default=(),
        metavar="A,B",
        help="shell patterns of the systems; ours is jitr",
    )
    add("--seed", type=int, default=1)
    add("--quick", action="store_true", help="a short run on less data")
    add("--json", action="store_true", help="JSON lines on standard output")
    found = parser.parse_args(arguments)
    return Options(tuple(found.data), found.cases, found.systems, found.seed, found.quick, found.json)


def _names(text: str) -> tuple[str, ...]:
    return tuple([name.strip() for name in text.split(",") if name.strip()])


def _folder(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder; give one that holds *.jsonl or *.jsonl.gz")
    return path
