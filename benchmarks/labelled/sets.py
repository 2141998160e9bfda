"""Sets of texts with a teacher's answers, found by the form of their columns, never by their name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from harness.data import rows, tables

from jitr.models.datasets.examples import same_input
from jitr.sandbox.recorded.forms import said

LEAST = 400
MOST_LABELS = 200
LONG_WORDS = 100


@dataclass(frozen=True)
class LabelledSet:
    """Texts, the teacher's answers, and the truth where it is known.

    Attributes
    ----------
    official_test : bool array or None
        Rows of the set's own test split.
    self_agreement : float or None
        How often the teacher agrees with itself, where it answered the same rows twice.
    """

    name: str
    texts: tuple[str, ...]
    answers: tuple[str, ...]
    gold: tuple[str, ...] | None
    official_test: np.ndarray | None = None
    self_agreement: float | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def long_and_binary(self) -> bool:
        """Whether it is of the kind that Poodle was measured on: two classes, texts of many words."""
        words = np.mean([len(text.split()) for text in self.texts[:200]])
        return len(set(self.answers)) == 2 and words > LONG_WORDS


def flipped(data: LabelledSet, share: float, seed: int) -> LabelledSet:
    """The same with a teacher who errs on this share of the rows that are no test: two classes swapped."""
    assert data.official_test is not None
    one, other = sorted(set(data.answers))
    wrong = (np.random.default_rng(seed).random(len(data)) < share) & ~data.official_test
    answers = tuple(
        {one: other, other: one}[a] if bad else a for a, bad in zip(data.answers, wrong, strict=True)
    )
    return LabelledSet(f"{data.name}-flip={share:g}", data.texts, answers, data.answers, data.official_test)


def load(folders: tuple[Path, ...]) -> Iterator[LabelledSet]:
    """Every set in the folders that has closed answers and enough rows."""
    found = tables(folders)
    by_form: dict[str, list[Path]] = defaultdict(list)
    for path in found:
        first = next(iter(rows(path, 1)), {})
        by_form[_form(set(first))].append(path)
    texts: dict[Path, list[dict]] = defaultdict(list)
    for path in by_form["texts"]:
        for row in rows(path):
            split = row.get("split") or ("test" if path.name.startswith("test") else "train")
            texts[path.parent].append({"text": row["text"], "label": str(row["label"]), "split": split})
    for folder, found_rows in texts.items():
        official = np.array([str(r["split"]).endswith("test") for r in found_rows])
        yield from _set(
            folder.name,
            [(r["text"], r["label"], r["label"], t) for r, t in zip(found_rows, official, strict=True)],
        )
    for path in by_form["instances"]:
        by_task: dict[str, list[tuple]] = defaultdict(list)
        for row in rows(path):
            output = row["output"][0] if isinstance(row["output"], list) else row["output"]
            by_task[row["task"]].append((row["input"], str(output), str(output), row.get("split") == "test"))
        for task, task_rows in by_task.items():
            yield from _set(f"{path.parent.name}-{task}", task_rows)
    for path in by_form["answers"]:
        yield from _recorded(path)
    for path in by_form["asked"]:
        data = list(rows(path))
        for model in data[0]["answers"]:
            answered = [(r["content"], str(r["answers"][model]), str(r["gold"]), False) for r in data]
            yield from _set(f"{path.name.split('.')[0]}-{model}", answered)


def _form(columns: set[str]) -> str:
    if {"model", "i", "response"} <= columns:
        return "answers"
    if {"task", "input", "output"} <= columns:
        return "instances"
    if {"content", "answers", "gold"} <= columns:
        return "asked"
    # texts with a time are a stream of their own: shuffling would falsify it
    return "texts" if {"text", "label"} <= columns and "time" not in columns else ""


def _recorded(path: Path) -> Iterator[LabelledSet]:
    """Items with the recorded responses of LLMs: a set for each of the models, its last run."""
    stem = path.name.split(".")[0]
    items: dict[str, dict] = {}
    for beside in sorted(path.parent.glob(f"{stem}.items.jsonl*")):
        items |= {str(row["i"]): row for row in rows(beside)}
    named = path.parent / f"{stem}.labels.json"
    names = msgspec.json.decode(named.read_bytes(), type=dict[str, str]) if named.exists() else {}
    runs: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in rows(path):
        runs[row["model"], str(row["run"])][str(row["i"])] = str(row["response"])
    for (model, run), responses in runs.items():
        labels = sorted(names.values()) or _first_words(list(responses.values()))
        answered = []
        for i, response in responses.items():
            if i in items and response.strip():
                gold = str(items[i].get("gold"))
                answered.append((items[i]["input"], said(response, labels), names.get(gold, gold), False))
        again = [a for (m, r), a in runs.items() if m == model and r != run]
        agreed = [
            said(a[i], labels) == said(responses[i], labels) for a in again for i in a if i in responses
        ]
        yield from _set(
            f"{stem}-{model.rpartition('/')[2]}", answered, float(np.mean(agreed)) if agreed else None
        )


def _first_words(responses: Sequence[str]) -> list[str]:
    words = Counter(r.strip(" *\n").split()[0].strip("*.,:").lower() for r in responses if r.strip(" *\n"))
    return sorted(word for word, n in words.items() if word and n * 20 >= len(responses))


def _set(name: str, found: Sequence[tuple], self_agreement: float | None = None) -> Iterator[LabelledSet]:
    """One row per distinct input; nothing where the answers are not closed."""
    seen: dict[str, tuple] = {}
    for text, answer, gold, test in found:
        if text.strip() and answer.strip():
            seen.setdefault(same_input(str(text)), (answer.strip(), gold, bool(test)))
    counts = Counter(answer for answer, _, _ in seen.values())
    # what a teacher said once or twice is no class but a slip: these calls stay with it
    closed = {label for label, n in counts.items() if n >= 3}
    kept = {text: row for text, row in seen.items() if row[0] in closed}
    if len(kept) < LEAST or not 2 <= len(closed) <= MOST_LABELS or len(kept) < 0.9 * len(seen):
        return
    answers = tuple(row[0] for row in kept.values())
    gold = tuple(str(row[1]) for row in kept.values())
    comparable = len(set(gold) & closed) >= 2
    test = np.array([row[2] for row in kept.values()])
    yield LabelledSet(
        name, tuple(kept), answers, gold if comparable else None, test if test.any() else None, self_agreement
    )
