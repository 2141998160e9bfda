"""Untagged mixed traffic with the truth beside it, made from any folder that has templates or tasks."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.data import rows, tables

from detection.truth import Classes, classes_of

STYLES = ("first", "last", "few", "alpaca")
CALLS_A_TASK = 1000


@dataclass(frozen=True, slots=True)
class Prompt:
    """One call: its prompt, its true class (None for ad-hoc calls), the answer, and what it is about."""

    text: str
    task: str | None
    answer: str | None = None
    topic: str | None = None


@dataclass(slots=True)
class Stream:
    """A seeded stream and its classes.

    Parameters
    ----------
    name : str
        The case.
    calls : list of Prompt
        In order of arrival.
    counted : set of str
        Classes that are scored; the others have no constant words, or too few rows, and are shown apart.
    one : dict
        Classes that may be found as one (the same definition in two styles): class to group.
    """

    name: str
    calls: list[Prompt]
    counted: set[str]
    one: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Material:
    """What the folders hold: templated prompts, tasks with definitions, few-shot prompts, ad-hoc prompts."""

    templates: dict[str, dict[str, list[Prompt]]]
    definitions: dict[str, dict[str, str]]
    instances: dict[str, dict[str, list[tuple[str, str]]]]
    recorded: dict[str, dict[str, list[Prompt]]]
    noise: list[Prompt]


def material(folders: tuple[Path, ...]) -> Material:
    """Read the folders; a table's columns say what it is.

    ``template``, ``prompt``: templated prompts. ``task``, ``definition``: definitions; ``task``, ``input``,
    ``output``: their instances. ``query``, ``answers``: recorded few-shot prompts. ``instruction`` without
    any of these: ad-hoc traffic.
    """
    found = Material({}, {}, {}, {}, [])
    for path in tables(folders):
        source = path.parent.name.split("-")[0]
        columns = set(next(rows(path, 1), {}))
        if {"template", "prompt"} <= columns:
            held = found.templates.setdefault(source, defaultdict(list))
            for row in rows(path):
                held[row["template"]].append(Prompt(row["prompt"], None, row.get("completion")))
        elif {"task", "definition"} <= columns:
            for row in rows(path):
                definition = " ".join(row["definition"]).strip()
                found.definitions.setdefault(source, {})[row["task"]] = definition
        elif {"task", "input", "output"} <= columns:
            items = found.instances.setdefault(source, defaultdict(list))
            for row in rows(path):
                items[row["task"]].append((row["input"].strip(), str(row["output"])))
        elif {"query", "gold"} <= columns:
            kind = path.name.split(".")[0]
            held = found.recorded.setdefault(source, defaultdict(list))
            held[kind] += [Prompt(row["query"], None, str(row["gold"])) for row in rows(path)]
        elif "instruction" in columns:
            found.noise += _adhoc(path)
    unique = {p.text: p for p in reversed(found.noise) if p.text}
    found.noise = list(reversed(unique.values()))
    return found


def _adhoc(path: Path) -> Iterator[Prompt]:
    """Ad-hoc prompts of a table; a kind whose prompts share their opening is a task, and no noise."""
    kinds: dict[str, list[Prompt]] = defaultdict(list)
    for row in rows(path):
        answer = row.get("response") or row.get("human_response")
        kinds[str(row.get("kind", ""))].append(Prompt(row["instruction"].strip(), None, answer))
    for prompts in kinds.values():
        opening = Counter([p.text[:24] for p in prompts]).most_common(1)[0][1]
        if opening < max(20, 0.1 * len(prompts)):
            yield from prompts


def with_noise(
    calls: list[Prompt], noise: Sequence[Prompt], share: float, rng: random.Random
) -> list[Prompt]:
    """Mix ad-hoc prompts in; where there are too few, calls of each class are left out in proportion."""
    noise = list(noise)
    rng.shuffle(noise)
    wanted = int(len(calls) * share / (1 - share)) if share else 0
    if wanted > len(noise):
        keep = len(noise) * (1 - share) / share / len(calls)
        wanted = len(noise)
        by_class: dict[str | None, list[Prompt]] = defaultdict(list)
        for call in calls:
            by_class[call.task].append(call)
        calls = []
        for held in by_class.values():
            rng.shuffle(held)
            calls += held[: max(8, round(len(held) * keep))]
    mixed = calls + noise[:wanted]
    rng.shuffle(mixed)
    return mixed


def template_classes(templates: Mapping[str, Sequence[Prompt]]) -> Classes:
    """The truth of a set of templates: those with the same constant words are one."""
    return classes_of({name: [p.text for p in prompts] for name, prompts in templates.items()})


def template_calls(templates: Mapping[str, Sequence[Prompt]], classes: Classes) -> list[Prompt]:
    """All calls of the templates with their classes."""
    return [Prompt(p.text, classes.of[name], p.answer) for name in sorted(templates) for p in templates[name]]


def styled(
    style: str,
    definitions: Mapping[str, str],
    instances: Mapping[str, Sequence[tuple[str, str]]],
    seed: int,
    most: int = CALLS_A_TASK,
    mark: str = "",
) -> list[Prompt]:
    """Calls of tasks in one style of prompt: definition first, last, with examples, or in a wrapper."""
    rng = random.Random(seed)
    out = []
    for task in sorted(instances):
        if task not in definitions:
            continue
        held = list(instances[task])
        rng.shuffle(held)
        ask = definitions[task]
        shots = "\n\n".join([f"Input: {text}\nOutput: {answer}" for text, answer in held[:2]])
        for text, answer in held[2 : most + 2]:
            prompt = {
                "first": f"{ask}\n{text}",
                "last": f"{text}\n{ask}",
                "few": f"{ask}\n\n{shots}\n\nInput: {text}\nOutput:",
                "alpaca": (
                    "Below is an instruction that describes a task, paired with an input. Write a response."
                    f"\n\n### Instruction:\n{ask}\n\n### Input:\n{text}\n\n### Response:"
                ),
            }[style]
            out.append(Prompt(prompt, task + mark, answer, topic=re.sub(r"\W+", " ", text[:40])))
    return out


def one_of(calls: Iterable[Prompt]) -> set[str]:
    """The classes of some calls."""
    return {c.task for c in calls if c.task is not None}
