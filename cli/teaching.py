"""Examples to teach a surrogate with, out of a file: pairs of input and answer, or a log of calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from jitr.agents.taskcalls import task_call
from jitr.cli.lines import call_lines, raw_lines
from jitr.models.datasets.examples import Example
from jitr.models.redaction.redaction import Redaction
from jitr.models.tasks.answers import normal
from jitr.models.tasks.extract import LabelSpace
from jitr.models.tasks.finder import Finder, FinderPolicy
from jitr.schemas.calls import Call
from jitr.schemas.errors import ConfigError, NotFoundError
from jitr.schemas.tasks import OutputKind, Task

INPUTS = ("input", "text", "prompt", "question")
ANSWERS = ("answer", "label", "output", "response", "teacher")


@dataclass(frozen=True)
class Teaching:
    """What a file teaches: examples, the kind of their answers, and how many lines could not be read."""

    examples: list[Example]
    kind: OutputKind
    refused: int


def read(file: Path, task: str | None, redact: Redaction) -> Teaching:
    """Read a file of pairs or of calls; what it is shows in its first line.

    Raises
    ------
    ConfigError
        The file holds nothing that teaches.
    NotFoundError
        The log has no such task, or several and none is named.
    """
    first = next((row for row in _rows(file) if row is not None), None)
    if first is None:
        raise ConfigError(f"{file} holds no JSON object; a line is an input with its answer, or a call")
    if _pair(first) is not None:
        return _pairs(file, redact)
    return _calls(file, task, redact)


def _pairs(file: Path, redact: Redaction) -> Teaching:
    space, refused = LabelSpace(), 0
    found: list[tuple[str, float, str, str]] = []
    for number, row in enumerate(_rows(file), 1):
        pair = None if row is None else _pair(row)
        if row is None or pair is None:
            refused += 1
            continue
        text, answer = redact.text(pair[0]), redact.text(pair[1])
        space.learn(answer, text)
        moment = row.get("time")
        when = float(moment) if isinstance(moment, int | float) else float(number)
        found.append((f"{file.name}:{number}", when, text, answer))
    examples = []
    for id, when, text, answer in found:
        label = space.parse(answer)
        if label is None:
            label = normal(answer.strip())
        examples.append(Example(id, when, text, label, text=answer.strip()))
    return Teaching(examples, space.kind, refused)


def _calls(file: Path, name: str | None, redact: Redaction) -> Teaching:
    finders: dict[str, Finder] = {}
    members: dict[str, list[Call]] = {}
    refused = 0
    for call in call_lines(file):
        if isinstance(call, str):
            refused += 1
            continue
        finder = finders.setdefault(call.tenant, Finder(call.tenant, FinderPolicy()))
        for found in finder.learn(redact.call(call)):
            members.setdefault(found.task.id, []).extend(found.calls)
    tasks = [t for f in finders.values() for t in f.tasks if t.status == "task" and members.get(t.id)]
    chosen = _choose(tasks, members, name, file)
    space, examples = LabelSpace(), []
    made = [task_call(call, chosen, {}) for call in members[chosen.id]]
    for one in made:
        if one.response is not None:
            space.learn(one.response.text, one.input)
    for one in made:
        label = space.parse(one.response.text) if one.response is not None else None
        if label is not None and one.response is not None:
            said = one.response
            examples.append(
                Example(one.id, one.time, one.input, label, one.weight, one.model, said.text, said.opening)
            )
    return Teaching(examples, space.kind, refused)


def _choose(tasks: list[Task], members: dict[str, list[Call]], name: str | None, file: Path) -> Task:
    fitting = [t for t in tasks if name is None or t.name == name or t.id.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    sizes = ", ".join(f"{t.name} ({len(members[t.id])} calls)" for t in tasks)
    if not tasks:
        raise NotFoundError(f"nothing recurs in {file}; give a longer log, or pairs of `input` and `answer`")
    if not fitting:
        raise NotFoundError(f"no task {name} in {file}; found: {sizes}")
    raise NotFoundError(f"{file} holds several tasks: {sizes}; name one with --task")


def _pair(row: dict[str, Any]) -> tuple[str, str] | None:
    """Input and answer of a row, where it is one."""
    asked = next((row[key] for key in INPUTS if isinstance(row.get(key), str)), None)
    said = next((row[key] for key in ANSWERS if row.get(key) is not None), None)
    if asked is None or said is None or "messages" in row:
        return None
    return asked, said if isinstance(said, str) else msgspec.json.encode(said).decode()


def _rows(file: Path) -> Iterator[dict[str, Any] | None]:
    for _, line in raw_lines(file):
        try:
            yield None if isinstance(line, str) else msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            yield None
