"""The generated workload: tasks and ad-hoc questions in one seeded stream."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jitr.sandbox.traffic.adhoc import MODELS, adhoc, adhoc_answer
from jitr.sandbox.traffic.request import Request
from jitr.sandbox.traffic.task import SimulatedTask
from jitr.sandbox.traffic.tasks.fields import fields
from jitr.sandbox.traffic.tasks.intent import intent
from jitr.sandbox.traffic.tasks.language import language
from jitr.sandbox.traffic.tasks.lead import lead
from jitr.sandbox.traffic.tasks.moderation import moderation
from jitr.sandbox.traffic.tasks.sentiment import sentiment
from jitr.sandbox.traffic.tasks.spam import spam
from jitr.sandbox.traffic.tasks.triage import triage
from jitr.sandbox.traffic.tasks.urgency import urgency


def all_tasks() -> tuple[SimulatedTask, ...]:
    """The nine tasks: language-id is meant to be easy, lead-score has a teacher that contradicts itself."""
    return (
        triage(), sentiment(), language(), spam(), urgency(), intent(), fields(), moderation(), lead(),
    )  # fmt: skip


class Workload:
    """An endless stream of requests, and the teacher that answers them.

    Parameters
    ----------
    seed : int
        The same seed gives the same stream in every process.
    noise : float
        Share of ad-hoc questions, in 0..1.
    tasks : sequence of SimulatedTask or of names, optional
        All nine if left out.

    Raises
    ------
    ValueError
        `noise` is not a share, there is no such task, or two tasks share a name.

    Examples
    --------
    >>> from itertools import islice
    >>> workload = Workload(seed=1, tasks=["spam", "intent"])
    >>> requests = list(islice(workload, 50))
    >>> {request.task for request in requests} == {None, "spam", "intent"}
    True
    >>> all(workload.true_answer(request.body) == request.label for request in requests)
    True
    """

    def __init__(
        self, seed: int = 0, noise: float = 0.3, tasks: Sequence[SimulatedTask | str] | None = None
    ) -> None:
        if not 0.0 <= noise <= 1.0:
            raise ValueError(f"noise={noise} must be a share between 0 and 1")
        self.seed = seed
        self.noise = noise
        self.tasks = _chosen(tasks)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tasks in it."""
        return tuple(self.tasks)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that its requests ask for."""
        return tuple(sorted({task.model for task in self.tasks.values()} | set(MODELS)))

    def __iter__(self) -> Iterator[Request]:
        """The stream, from its start."""
        rng = random.Random(self.seed)
        tasks = list(self.tasks.values())
        weights = [task.weight for task in tasks]
        while True:
            if not tasks or rng.random() < self.noise:
                yield adhoc(rng)
            else:
                yield rng.choices(tasks, weights)[0].request(rng)

    def labels(self, task: str) -> Sequence[str]:
        """Every answer that a task can have."""
        return self.tasks[task].labels

    def recognise(self, body: Mapping[str, Any]) -> tuple[str, str] | None:
        """The task of a request and its slot value, from its messages alone; None for ad-hoc questions."""
        messages = body.get("messages")
        if isinstance(messages, list):
            for name, task in self.tasks.items():
                slot_value = task.prompt.parse(messages)
                if slot_value is not None:
                    return name, slot_value
        return None

    def true_answer(self, body: Mapping[str, Any]) -> str | None:
        """The answer of a teacher that makes no mistake; None for ad-hoc questions."""
        found = self.recognise(body)
        return self.tasks[found[0]].truth(found[1]) if found else None

    def answer(self, body: Mapping[str, Any], asking: int = 0) -> str:
        """What the teacher says, its mistakes included, when asked for the `asking`-th time."""
        found = self.recognise(body)
        if found:
            return self.tasks[found[0]].answer(found[1], asking)
        return adhoc_answer(str(body.get("messages")), asking)


def _chosen(tasks: Sequence[SimulatedTask | str] | None) -> dict[str, SimulatedTask]:
    known = {task.name: task for task in all_tasks()}
    if tasks is None:
        return known
    chosen: dict[str, SimulatedTask] = {}
    for given in tasks:
        if isinstance(given, str) and given not in known:
            raise ValueError(f"no task is called {given!r}; there are {', '.join(known)}")
        task = known[given] if isinstance(given, str) else given
        if task.name in chosen:
            raise ValueError(f"two tasks are called {task.name!r}; give each a name of its own")
        chosen[task.name] = task
    return chosen
