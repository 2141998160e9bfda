"""The recorded workload: streams of recorded items in one seeded order, with ad-hoc prompts between them."""

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jitr.sandbox.recorded.forms import from_answers, from_definitions, from_prompts, from_texts
from jitr.sandbox.recorded.tables import find
from jitr.sandbox.recorded.task import RecordedTask
from jitr.sandbox.traffic.adhoc import MODELS, adhoc_answer
from jitr.sandbox.traffic.request import Request
from jitr.schemas.errors import ConfigError

FORMS = (
    "texts (columns text, label), definitions (task, definition) with instances (task, input, output), "
    "items (i, input) with answers (model, i, response)"
)


class RecordedWorkload:
    """A finite stream of requests, and the record that answers them.

    Every item is asked once. Larger tasks come more often (by the square root of their size); a task that has
    no items left leaves the stream, and the stream ends with the last task.

    Parameters
    ----------
    tasks : sequence of RecordedTask
        With names and prompts unlike each other's.
    adhoc : mapping of str to str
        Ad-hoc prompts and their answers.
    seed : int
        Of the order.
    noise_share : float
        Share of ad-hoc prompts while they last, in 0..1.

    Examples
    --------
    >>> from jitr.sandbox.recorded.task import instruction_after
    >>> labels = ["good", "bad"]
    >>> task = RecordedTask("mood", "m", instruction_after(labels), {"fine": "good"}, labels)
    >>> workload = RecordedWorkload([task], {"Why?": "Because."}, 1, 0.0)
    >>> [(request.task, request.label, workload.answer(request.body)) for request in workload]
    [('mood', 'good', 'good')]
    """

    def __init__(
        self, tasks: Sequence[RecordedTask], adhoc: Mapping[str, str], seed: int, noise_share: float
    ) -> None:
        if not 0.0 <= noise_share < 1.0:
            raise ConfigError(f"noise_share={noise_share} must be a share from 0 to under 1")
        self.tasks = {task.name: task for task in tasks}
        self.adhoc = dict(adhoc)
        self.seed = seed
        self.noise_share = noise_share

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
        left = {name: _shuffled(task.answers, rng) for name, task in self.tasks.items()}
        prompts = _shuffled(self.adhoc, rng)
        while any(left.values()):
            if prompts and rng.random() < self.noise_share:
                yield _one_off(prompts.pop(), rng)
                continue
            names = [name for name, items in left.items() if items]
            weights = [len(self.tasks[name].answers) ** 0.5 for name in names]
            name = rng.choices(names, weights)[0]
            task, slot_value = self.tasks[name], left[name].pop()
            yield Request(task.body(slot_value), name, task.answers[slot_value], slot_value)

    def labels(self, task: str) -> Sequence[str]:
        """Every answer that a task offers."""
        return self.tasks[task].labels

    def recognise(self, body: Mapping[str, Any]) -> tuple[str, str] | None:
        """The task of a request and its slot value, if the record holds it; else None."""
        messages = body.get("messages")
        if isinstance(messages, list):
            for name, task in self.tasks.items():
                slot_value = task.prompt.parse(messages)
                if slot_value in task.answers:
                    return name, str(slot_value)
        return None

    def true_answer(self, body: Mapping[str, Any]) -> str | None:
        """The recorded answer; None for ad-hoc prompts."""
        found = self.recognise(body)
        return self.tasks[found[0]].answers[found[1]] if found else None

    def answer(self, body: Mapping[str, Any], asking: int = 0) -> str:
        """The recorded answer, at every asking; free text for a prompt that is not on record."""
        label = self.true_answer(body)
        if label is not None:
            return label
        prompt = str(body["messages"][-1].get("content"))
        return self.adhoc.get(prompt) or adhoc_answer(prompt, asking)


def recorded(
    data_dir: Path, seed: int = 0, noise_share: float = 0.3, *, tasks: Sequence[str] | None = None,
    teacher: str = "gpt-4o",
) -> RecordedWorkload:  # fmt: skip
    """Build a workload from a folder of recorded data, by the form of its tables.

    Parameters
    ----------
    data_dir : Path
        Holds `.jsonl` or `.jsonl.gz` files, at any depth.
    seed : int
        Of the order of the stream.
    noise_share : float
        Share of ad-hoc prompts, in 0..1.
    tasks : sequence of str, optional
        Only these tasks.
    teacher : str
        Part of the name of the LLM whose recorded answers are taken, where several answered the same items.

    Raises
    ------
    ConfigError
        There is no such folder, a form is missing in it, or there is no such task.
    """
    if not data_dir.is_dir():
        raise ConfigError(f"{data_dir} is no folder; give one that holds recorded data as .jsonl.gz files")
    tables = find(data_dir)
    found: dict[str, RecordedTask] = {}
    for task in (*from_texts(tables), *from_definitions(tables), *from_answers(tables, teacher)):
        found.setdefault(task.name, task)
    if not found:
        seen = (
            ", ".join(f"{table.path.name} ({table.form})" for table in tables) or "no table of a known form"
        )
        raise ConfigError(f"{data_dir} holds no recorded task: found {seen}; needed are {FORMS}")
    missing = [name for name in tasks or () if name not in found]
    if missing:
        raise ConfigError(f"{data_dir} has no task {', '.join(missing)}; there are {', '.join(found)}")
    prompts = from_prompts(tables) if noise_share else {}
    if noise_share and not prompts:
        raise ConfigError(
            f"{data_dir} holds no ad-hoc prompts (columns instruction or prompt, with response); "
            "add a table of them or set the share of noise to 0"
        )
    chosen = [task for name, task in found.items() if tasks is None or name in tasks]
    return RecordedWorkload(chosen, prompts, seed, noise_share)


def _shuffled(items: Mapping[str, str], rng: random.Random) -> list[str]:
    keys = list(items)
    rng.shuffle(keys)
    return keys


def _one_off(prompt: str, rng: random.Random) -> Request:
    body = {"model": rng.choice(MODELS), "messages": [{"role": "user", "content": prompt}]}
    return Request(body, None, None, prompt)
