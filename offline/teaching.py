"""Examples to teach a surrogate with, out of a log: pairs of input and answer, or calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from jitr.agents.task_call import task_call
from jitr.models.answers.label_space import LabelSpace
from jitr.models.answers.normalize import normal
from jitr.models.datasets.examples import Example
from jitr.models.redaction.redaction import Redaction
from jitr.models.tasks.finder import FinderPolicy, TaskFinder
from jitr.offline.lines import Log, call_lines, name_of, raw_lines
from jitr.schemas.calls import Call
from jitr.schemas.errors import ConfigError, NotFoundError, RecordError
from jitr.schemas.labels import has_text
from jitr.schemas.lenient import loads
from jitr.schemas.tasks import OutputKind, Task

INPUTS = ("input", "text", "prompt", "question")
ANSWERS = ("answer", "label", "output", "response", "teacher")
_CALLS = ("messages", "request")


@dataclass
class Teaching:
    """What a log teaches.

    Attributes
    ----------
    examples : list of Example
    kind : OutputKind
        What their answers are.
    refused : list of str
        A message for each line that could not be read, with its place.
    no_labels : Counter
        Calls whose answers are no labels, by why (`jitr.schemas.labels`).
    only_teacher : Counter
        Calls that the gateway leaves to the LLM, by why (`jitr.schemas.only_teacher`).
    """

    examples: list[Example] = field(default_factory=list)
    kind: OutputKind = "text"
    refused: list[str] = field(default_factory=list)
    no_labels: Counter[str] = field(default_factory=Counter)
    only_teacher: Counter[str] = field(default_factory=Counter)


def read(log: Log, task: str | None, redact: Redaction, harmless: Collection[str] = ()) -> Teaching:
    """Read pairs or calls; which of both shows in the first line that is either.

    Raises
    ------
    ConfigError
        The log holds nothing that teaches.
    NotFoundError
        The log has no such task, or several and none is named.
    """
    for _, row in _rows(log):
        if isinstance(row, dict):
            if _is_pair(row):
                return _pairs(log, redact)
            if any(key in row for key in _CALLS):
                break
    return _calls(log, task, redact, harmless)


def _pairs(log: Log, redact: Redaction) -> Teaching:
    space, taught = LabelSpace(), Teaching()
    found: list[tuple[str, float, str, str]] = []
    short = log.name if isinstance(log, Path) else name_of(log)
    for number, row in _rows(log):
        pair = row if isinstance(row, str) else _pair(row)
        if isinstance(pair, str):
            taught.refused.append(f"{name_of(log)}:{number}: {pair}")
            continue
        text, answer = redact.text(pair[0]), redact.text(pair[1])
        space.learn(answer, text)
        moment = row.get("time") if isinstance(row, dict) else None
        when = float(moment) if isinstance(moment, int | float) else float(number)
        found.append((f"{short}:{number}", when, text, answer))
    for id, when, text, answer in found:
        label = space.parse(answer)
        if label is None:
            label = normal(answer.strip())
        taught.examples.append(Example(id, when, text, label, text=answer.strip()))
    taught.kind = space.kind
    return taught


def _calls(log: Log, name: str | None, redact: Redaction, harmless: Collection[str]) -> Teaching:
    finders: dict[str, TaskFinder] = {}
    members: dict[str, list[Call]] = {}
    taught = Teaching()
    for call in call_lines(log):
        if isinstance(call, str):
            taught.refused.append(call)
            continue
        finder = finders.setdefault(call.tenant, TaskFinder(call.tenant, FinderPolicy()))
        for found in finder.learn(redact.call(call)):
            members.setdefault(found.task.id, []).extend(found.calls)
    if not finders:
        first = (
            f"line {taught.refused[0].removeprefix(f'{name_of(log)}:')}" if taught.refused else "it is empty"
        )
        raise ConfigError(f"{name_of(log)} holds no call and no pair of `input` and `answer`; {first}")
    tasks = [t for f in finders.values() for t in f.tasks if t.status == "task" and members.get(t.id)]
    chosen = _choose(tasks, members, name, name_of(log))
    space = LabelSpace()
    made = [task_call(call, chosen, {}, harmless=harmless) for call in members[chosen.id]]
    taught.no_labels = Counter(one.no_label.value for one in made if one.no_label is not None)
    taught.only_teacher = Counter(one.only_teacher for one in made if one.only_teacher)
    answered = [(one, one.response) for one in made if one.no_label is None and one.response is not None]
    for one, said in answered:
        space.learn(said.text, one.input)
    for one, said in answered:
        label = space.parse(said.text)
        if label is not None:
            taught.examples.append(
                Example(one.id, one.time, one.input, label, one.weight, one.model, said.text, said.opening)
            )
    taught.kind = space.kind
    return taught


def _choose(tasks: list[Task], members: dict[str, list[Call]], name: str | None, log: str) -> Task:
    fitting = [t for t in tasks if name is None or t.name == name or t.id.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    sizes = ", ".join(f"{t.name} ({len(members[t.id])} calls)" for t in tasks)
    if not tasks:
        raise NotFoundError(f"nothing recurs in {log}; give a longer log, or pairs of `input` and `answer`")
    if not fitting:
        raise NotFoundError(f"no task {name} in {log}; found: {sizes}")
    raise NotFoundError(f"{log} holds several tasks: {sizes}; name one with --task")


def _is_pair(row: dict[str, Any]) -> bool:
    """Whether a row has an input as text, and a place for its answer."""
    asked, said = any(isinstance(row.get(key), str) for key in INPUTS), any(key in row for key in ANSWERS)
    return asked and said and not any(key in row for key in _CALLS)


def _pair(row: dict[str, Any]) -> tuple[str, str] | str:
    """Input and answer of a row, or why it teaches nothing."""
    if not _is_pair(row):
        return f"expected an input (one of {', '.join(INPUTS)}) and its answer ({', '.join(ANSWERS)})"
    asked = next(row[key] for key in INPUTS if isinstance(row.get(key), str))
    said = next((row[key] for key in ANSWERS if row.get(key) is not None), None)
    if said is None:
        return "the answer is null"
    answer = said if isinstance(said, str) else msgspec.json.encode(said).decode()
    return (asked, answer) if has_text(answer) and normal(answer.strip()) else "the answer has no text"


def _rows(log: Log) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """The JSON objects of a log with their lines' numbers, or what is wrong with a line."""
    for number, line in raw_lines(log):
        if isinstance(line, str):
            yield number, line
            continue
        try:
            value = loads(line)
        except RecordError as error:
            yield number, str(error)
            continue
        yield number, value if isinstance(value, dict) else f"expected an object, got {type(value).__name__}"
