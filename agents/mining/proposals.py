"""Which tasks may be one in other words: new templates are embedded once, in a process that ends then.

Nothing waits for it, and nothing needs it: where the encoder is not installed nothing is proposed, and the
log says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from mode.utils.logging import get_logger
from numpy.typing import NDArray

from jitr.agents.runtime.orphans import end_with
from jitr.models.tasks.records.proposals import instruction, propose
from jitr.schemas.errors import WeightsError
from jitr.schemas.tasks import MergeProposal, Task

log = get_logger(__name__)

Vectors = NDArray[np.float32]
ENCODER = "minilm"
# an embedding may take up to this share of one core
_SHARE = 0.1
_MOST_TEXTS = 256


class Embedder:
    """Embeds texts in a process of its own, which is gone when it is done; one at a time in a worker."""

    def __init__(self) -> None:
        self._running: Future[Vectors] | None = None

    @property
    def free(self) -> bool:
        """Whether nothing is being embedded."""
        return self._running is None or self._running.done()

    def submit(self, texts: Sequence[str]) -> Future[Vectors]:
        """Begin; the future raises `WeightsError` where the encoder is not on this machine."""
        pool = ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
        )
        future = pool.submit(_embed, list(texts))
        future.add_done_callback(lambda _: pool.shutdown(wait=False))
        self._running = future
        return future


class Likening:
    """The proposals of one partition's tasks, kept current as tasks come and change.

    Parameters
    ----------
    embedder : Embedder, optional
        Without one nothing is proposed.
    clock : callable
        Monotonic seconds; it only spaces embeddings out.
    """

    def __init__(self, embedder: Embedder | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.found: dict[str, tuple[MergeProposal, ...]] = {}
        self._embedder = embedder
        self._clock = clock
        self._tasks: dict[str, tuple[Task, str]] = {}
        self._wanted: dict[str, None] = {}
        self._vectors: dict[str, Vectors] = {}
        self._job: tuple[list[str], float, Future[Vectors]] | None = None
        self._due = 0.0
        self._changed: dict[str, int] = {}
        self._told = 0

    def resume(self, tasks: Iterable[Task], found: Mapping[str, tuple[MergeProposal, ...]]) -> None:
        """Go on with what an earlier one had proposed."""
        self.found = dict(found)
        for task in tasks:
            self.learn(task)

    def learn(self, task: Task) -> None:
        """A task is new, has changed, or is no more."""
        if task.status == "task" and task.caller_name is None:
            text = instruction(task)
            self._tasks[task.id] = (task, text)
            if text not in self._vectors and self._embedder is not None:
                self._wanted[text] = None
            return
        self._tasks.pop(task.id, None)
        self.found.pop(task.id, None)
        for id, proposals in tuple(self.found.items()):
            left = tuple([p for p in proposals if p.other != task.id])
            if left != proposals:
                self._tell(id, left)

    def proposals(self, id: str) -> tuple[MergeProposal, ...]:
        """The tasks that may be this one in other words, most alike first."""
        return self.found.get(id, ())

    @property
    def busy(self) -> bool:
        """Whether something is to be taken soon."""
        return self._job is not None or bool(self._changed)

    def take(self) -> dict[str, int]:
        """Tasks whose proposals have changed since the last time, each with a number of its own."""
        if self._job is not None and self._job[2].done():
            self._finish(*self._job)
        if self._wanted and self._job is None and self._embedder is not None and self._embedder.free:
            now = self._clock()
            if now >= self._due:
                texts = list(self._wanted)[:_MOST_TEXTS]
                self._wanted = dict.fromkeys(list(self._wanted)[_MOST_TEXTS:])
                self._job = (texts, now, self._embedder.submit(texts))
        changed, self._changed = self._changed, {}
        return changed

    def _finish(self, texts: list[str], started: float, future: Future[Vectors]) -> None:
        self._job = None
        now = self._clock()
        self._due = now + (now - started) / _SHARE
        try:
            rows = future.result()
        except WeightsError as error:
            log.warning("no merges of tasks are proposed: %s", error)
            self._embedder, self._wanted = None, {}
            return
        except Exception as error:
            log.warning("templates could not be embedded, trying again later: %r", error)
            self._wanted = dict.fromkeys([*texts, *self._wanted])
            return
        wanted = {text for _, text in self._tasks.values()}
        self._vectors = {text: row for text, row in self._vectors.items() if text in wanted}
        self._vectors.update(zip(texts, rows, strict=True))
        self._update()

    def _update(self) -> None:
        known = [task for task, text in self._tasks.values() if text in self._vectors]
        pairs = propose(known, lambda texts: np.stack([self._vectors[text] for text in texts]))
        found: dict[str, list[MergeProposal]] = {}
        for p in pairs:
            for id, other in ((p.into, p.other), (p.other, p.into)):
                found.setdefault(id, []).append(
                    MergeProposal(other=other, likeness=p.likeness, shared_labels=p.shared_labels)
                )
        # what is not embedded again after a restart keeps its proposals till then
        waiting = self._tasks.keys() - {task.id for task in known}
        for id in sorted(self.found.keys() | found.keys()):
            if id in waiting:
                continue
            now = tuple(found.get(id, ()))
            if now != self.found.get(id, ()):
                self._tell(id, now)

    def _tell(self, id: str, proposals: tuple[MergeProposal, ...]) -> None:
        self._told += 1
        self._changed[id] = self._told
        self.found.pop(id, None)
        if proposals:
            self.found[id] = proposals


def _begin(parent: int) -> None:
    import signal

    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)


def _embed(texts: list[str]) -> Vectors:
    """In the child."""
    from jitr.models.encoders.weights import Weights

    return Weights().encoder(ENCODER).encode(texts)
