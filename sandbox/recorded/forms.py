"""From tables of each form to tasks and ad-hoc prompts."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from jitr.sandbox.recorded.tables import REPLIES, Table
from jitr.sandbox.recorded.task import (
    FEWEST_ROWS,
    RecordedTask,
    closed,
    definition_first,
    instruction_after,
    instruction_around,
    system_prompt,
    tidy,
)

GOLD = "gpt-4.1-simulated"  # the model that gold labels play
TASKS_PER_FOLDER = 4
PREAMBLE, REPEATS = 40, 8  # prompts that begin alike so often are a task of their own
LONGEST_ADHOC = 2000


def from_texts(tables: Sequence[Table]) -> Iterator[RecordedTask]:
    """Texts with labels: the tables of one folder are one task, named after the folder."""
    styles = (system_prompt, instruction_around)
    by_folder: dict[Path, list[Table]] = defaultdict(list)
    for table in tables:
        if table.form == "texts":
            by_folder[table.path.parent].append(table)
    found = 0
    for folder, parts in by_folder.items():
        answers = closed((str(row["text"]), str(row["label"])) for part in parts for row in part.rows())
        if answers:
            labels = sorted(set(answers.values()))
            yield RecordedTask(folder.name, GOLD, styles[found % len(styles)](labels), answers, labels)
            found += 1


def from_definitions(tables: Sequence[Table]) -> Iterator[RecordedTask]:
    """Definitions with instances in one folder: the tasks with closed answers and most instances."""
    for table in tables:
        if table.form != "definitions":
            continue
        definitions = {row["task"]: _first(row["definition"]) for row in table.rows()}
        instances: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for other in tables:
            if other.form == "instances" and other.path.parent == table.path.parent:
                for row in other.rows():
                    instances[row["task"]].append((row["input"], _first(row["output"])))
        ready = [(task, closed(rows)) for task, rows in instances.items() if definitions.get(task)]
        sized = sorted(((task, rows) for task, rows in ready if rows), key=lambda pair: -len(pair[1]))
        for task, answers in sized[:TASKS_PER_FOLDER]:
            labels = sorted(set(answers.values()))
            yield RecordedTask(task, GOLD, definition_first(definitions[task], labels), answers, labels)


def from_answers(tables: Sequence[Table], teacher: str) -> Iterator[RecordedTask]:
    """Items with recorded answers of LLMs: one task for each pair of tables, answered by one of the LLMs."""
    for table in tables:
        if table.form != "answers":
            continue
        items = {
            str(row["i"]): tidy(str(row["input"]))
            for other in tables
            if other.form == "items" and (other.path.parent, other.stem) == (table.path.parent, table.stem)
            for row in other.rows()
        }
        runs: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for row in table.rows():
            if str(row["i"]) in items and str(row["response"]).strip():
                runs[row["model"], str(row.get("run", ""))][items[str(row["i"])]] = str(row["response"])
        if not runs:
            continue
        model, run = max(runs, key=lambda key: (teacher in key[0], len(runs[key]), key))
        labels = _label_names(table) or _leading_words(runs[model, run].values())
        answers = {text: said(response, labels) for text, response in runs[model, run].items()}
        if len(answers) >= FEWEST_ROWS and labels:
            name = f"{table.stem}-{model.rpartition('/')[2]}"
            yield RecordedTask(name, model, instruction_after(labels), answers, labels)


def said(response: str, labels: Sequence[str]) -> str:
    """The label that a response begins with, else the last that it names, else the whole response.

    Examples
    --------
    >>> said("It belongs to **card_arrival**, not age_limit.", ["card_arrival", "age_limit", "age"])
    'age_limit'
    >>> said("**NEUTRAL**, nothing positive", ["neutral", "positive"]), said("No idea.", ["neutral"])
    ('neutral', 'No idea.')
    """
    text, last, chosen = response.lower(), -1, response.strip()
    for label in labels:
        for match in re.finditer(rf"(?<!\w){re.escape(label.lower())}(?!\w)", text):
            if not re.search(r"\w", text[: match.start()]):
                return label
            if match.start() > last:
                last, chosen = match.start(), label
    return chosen


def from_prompts(tables: Sequence[Table]) -> dict[str, str]:
    """Ad-hoc prompts with their answers; prompts that share a preamble are left out."""
    answers: dict[str, str] = {}
    for table in tables:
        if table.form != "ad-hoc":
            continue
        for row in table.rows():
            parts = (str(row.get("instruction") or row.get("prompt") or ""), str(row.get("input") or ""))
            prompt = "\n\n".join(part.strip() for part in parts if part.strip())
            reply = next((str(row[column]) for column in REPLIES if row.get(column)), "")
            if prompt and len(prompt) <= LONGEST_ADHOC and reply.strip():
                answers[prompt] = reply.strip()
    begins = Counter(prompt[:PREAMBLE] for prompt in answers)
    return {prompt: reply for prompt, reply in answers.items() if begins[prompt[:PREAMBLE]] < REPEATS}


def _first(value: object) -> str:
    if isinstance(value, list):
        return str(value[0]) if value else ""
    return str(value or "")


def _label_names(table: Table) -> list[str]:
    path = table.path.parent / f"{table.stem}.labels.json"
    return (
        sorted(msgspec.json.decode(path.read_bytes(), type=dict[str, str]).values()) if path.exists() else []
    )


def _leading_words(responses: Iterable[str]) -> list[str]:
    """The words that responses begin with, where one in twenty does."""
    texts = list(responses)
    words = Counter(found.group() for text in texts if (found := re.search(r"\w+", text)))
    return sorted(word for word, count in words.items() if count * 20 >= len(texts))
