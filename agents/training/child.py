"""One training in a child process, under limits of memory and time that the parent enforces."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import fsspec
import msgspec
import psutil

from jitr.agents.runtime.orphans import end_with
from jitr.models.economics.money import cpu_usd
from jitr.schemas.errors import JitrError
from jitr.schemas.evidence import Trained, TrainingFailed
from jitr.schemas.routes import SurrogateRef
from jitr.schemas.trainings import Training

_POLL_S = 0.2
_MOST_FEATURES_MB = 64.0  # of a task, on disk: about 8,000 texts by one encoder


class TrainingOutcome(msgspec.Struct, frozen=True):
    """What the child says in the end."""

    surrogate: SurrogateRef | None
    reason: str
    cpu_s: float


async def run_training(training: Training, root: str, memory_mb: int) -> Trained | TrainingFailed:
    """Train in a process of its own and say what came of it.

    Parameters
    ----------
    training : Training
    root : str
        Where artifacts are kept: the folder is written aside, renamed, and taken as it is if it exists.
    memory_mb : int
        Resident memory at which the child is ended.
    """
    # forked from a process that has imported what training needs, and has one thread
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, "jitr.models.training.train"])
    ours, theirs = context.Pipe()
    child = context.Process(target=_child, args=(theirs, msgspec.json.encode(training), root), daemon=True)
    with _one_thread():
        child.start()
    theirs.close()
    # searching may take its budget, reading and writing some more
    most_s = 3 * training.limits.max_train_s + 120
    deadline = time.monotonic() + most_s
    used = _Usage()
    killed = ""
    try:
        process = psutil.Process(child.pid)
        while child.is_alive() and not ours.poll():
            used.look(process)
            if used.rss_mb > memory_mb:
                killed = f"it used {used.rss_mb:.0f} MB of memory, more than the {memory_mb} MB it may"
            elif time.monotonic() > deadline:
                killed = f"it took longer than {most_s:.0f} s"
            if killed:
                child.kill()
                break
            await asyncio.sleep(_POLL_S)
        outcome = TrainingOutcome(None, killed, used.cpu_s) if killed else _receive(ours, child, used)
    except psutil.NoSuchProcess:
        outcome = _receive(ours, child, used)
    finally:
        # also where we are cancelled: nothing is left running
        child.kill()
        child.join()
        ours.close()
    return _evidence(training, outcome)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """A process started here has one thread in each library: a training must not starve the stream."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Usage:
    """What a process and its children have used, as far as it was seen."""

    def __init__(self) -> None:
        self.rss_mb = 0.0
        self.cpu_s = 0.0

    def look(self, process: psutil.Process) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self.rss_mb = process.memory_info().rss / 1e6
            times = process.cpu_times()
            self.cpu_s = max(self.cpu_s, times.user + times.system)


def _receive(ours: Connection, child: Any, used: _Usage) -> TrainingOutcome:
    try:
        if ours.poll():
            return msgspec.json.decode(ours.recv_bytes(), type=TrainingOutcome)
    except EOFError:
        pass
    child.join(1.0)
    return TrainingOutcome(None, f"its process ended with exit code {child.exitcode}", used.cpu_s)


def _evidence(training: Training, outcome: TrainingOutcome) -> Trained | TrainingFailed:
    who = {"tenant": training.tenant, "task": training.task, "training": training.id}
    ref = outcome.surrogate
    # one that was found trained was paid for by a worker that may have died before it could say so
    cost = cpu_usd(max(outcome.cpu_s, ref.train_s if ref is not None else 0.0))
    if ref is None:
        return TrainingFailed(
            id=f"failed/{training.id}",
            time=training.requested_at,
            reason=outcome.reason,
            labels=training.labels,
            cost_usd=cost,
            **who,
        )
    return Trained(
        id=f"trained/{training.id}",
        time=training.requested_at,
        surrogate=msgspec.structs.replace(ref, after_offset=training.until_offset),
        output=training.kind,
        demotions=training.demotions,
        cost_usd=cost,
        **who,
    )


def _child(theirs: Connection, training: bytes, root: str) -> None:
    """In the child."""
    end_with(os.getppid())
    os.nice(5)
    asked = msgspec.json.decode(training, type=Training)
    try:
        surrogate, reason = _train(asked, root), ""
    except JitrError as error:
        surrogate, reason = None, str(error)
    except Exception as error:
        surrogate, reason = None, f"{type(error).__name__}: {error}"
    times = os.times()
    theirs.send_bytes(msgspec.json.encode(TrainingOutcome(surrogate, reason, times.user + times.system)))
    theirs.close()


def _train(training: Training, root: str) -> SurrogateRef:
    from jitr.agents.training.race_store import keep_race, race_before
    from jitr.models.encoders.cache import FeatureCache
    from jitr.models.encoders.weights import Weights
    from jitr.models.training.train import Recipe, train

    recipe = Recipe(
        task=training.task,
        kind=training.kind,
        renderings=training.renderings,
        target=training.target,
        tolerance=training.tolerance,
        since_offset=training.since_offset,
    )
    # limits are in CPU seconds, so that a busy machine fails no surrogate
    clock = time.process_time
    prior = race_before(root, training)
    fs, path = fsspec.core.url_to_fs(root)
    if "file" in fs.protocol:
        # the next training of this task has most of this one's texts
        features = Path(path).with_name(f"{Path(path).name}-features") / training.task
        cache = FeatureCache(features, most_mb=_MOST_FEATURES_MB)
        weights = Weights(cache=cache)
        made = train(
            training.parts,
            recipe,
            training.limits,
            path,
            training.seed,
            weights=weights,
            clock=clock,
            prior=prior,
        )
        with contextlib.suppress(OSError):  # a full disk costs the next training some seconds, no more
            keep_race(root, training, made.measured.race)
            cache.save()
        return made.ref()
    with tempfile.TemporaryDirectory(prefix="jitr-train-") as folder:
        made = train(training.parts, recipe, training.limits, folder, training.seed, clock=clock, prior=prior)
        with contextlib.suppress(OSError):
            keep_race(root, training, made.measured.race)
        ref = made.ref()
        target = f"{path.rstrip('/')}/{ref.version}"
        if not fs.exists(f"{target}/manifest.json"):
            aside = f"{target}.{os.getpid()}.tmp"
            fs.put(f"{Path(ref.uri)}/", f"{aside}/", recursive=True)
            fs.mv(aside, target, recursive=True)
        return msgspec.structs.replace(ref, uri=f"{root.rstrip('/')}/{ref.version}")
