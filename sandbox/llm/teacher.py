"""How the simulated LLM answers: the workload's own teacher, whose behaviour can be changed while it runs."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from jitr.sandbox.traffic.request import Traffic
from jitr.sandbox.traffic.task import unit

REMEMBERED = 100_000  # prompts whose number of askings is kept


class TeacherChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of the answers to one task.

    Parameters
    ----------
    task : str
        Name of the task.
    swap : dict of str to str
        Word of an answer to the word said in its place; all at once, in any case. Empty takes changes back.
    share : float
        Share of the task's slot values that it touches, in 0..1; always the same slot values.
    """

    task: str
    swap: dict[str, str]
    share: float = 1.0


class Teacher:
    """Answers requests, remembers how often each was asked, and keeps every behaviour it ever had.

    Parameters
    ----------
    traffic : Traffic
        The workload whose tasks it knows.

    Examples
    --------
    >>> from jitr.sandbox.traffic.workload import Workload
    >>> workload = Workload(seed=1, noise=0.0, tasks=["spam"])
    >>> body = next(iter(workload)).body
    >>> teacher = Teacher(workload)
    >>> teacher.true_answer(body)
    'SPAM'
    >>> teacher.change(TeacherChange("spam", {"spam": "ok", "ok": "spam"}))
    1
    >>> teacher.true_answer(body), teacher.true_answer(body, version=0)
    ('OK', 'SPAM')
    """

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._versions: list[dict[str, TeacherChange]] = [{}]
        self._askings: dict[int, int] = {}

    @property
    def version(self) -> int:
        """Number of the present behaviour; 0 is the original one."""
        return len(self._versions) - 1

    def change(self, change: TeacherChange) -> int:
        """Change the answers to one task from now on, in place of an earlier change of it.

        Returns
        -------
        int
            The number of the new behaviour.

        Raises
        ------
        ValueError
            There is no such task, the share is none, or a word occurs in none of its answers.
        """
        if change.task not in self._traffic.names:
            raise ValueError(f"no task is called {change.task!r}; there are {', '.join(self._traffic.names)}")
        if not 0.0 <= change.share <= 1.0:
            raise ValueError(f"share={change.share} must lie between 0 and 1")
        labels = self._traffic.labels(change.task)
        for word in change.swap:
            if all(_swap(label, {word: ""}) == label for label in labels):
                raise ValueError(
                    f"no answer of {change.task!r} holds {word!r}; they are {', '.join(labels[:30])}"
                )
        self._versions.append({**self._versions[-1], change.task: change})
        return self.version

    def answer(self, body: Mapping[str, Any]) -> tuple[str, str | None]:
        """What it says now, with its mistakes, and the name of the task (None for ad-hoc questions)."""
        key = hash(repr(body.get("messages")))
        asking = self._askings.pop(key, 0)
        self._askings[key] = asking + 1
        if len(self._askings) > REMEMBERED:
            del self._askings[next(iter(self._askings))]
        found = self._traffic.recognise(body)
        text = self._traffic.answer(body, asking)
        return (self._changed(text, *found, self.version), found[0]) if found else (text, None)

    def true_answer(self, body: Mapping[str, Any], version: int | None = None) -> str | None:
        """What it would say without mistakes, now or under an earlier behaviour; None for ad-hoc questions.

        Raises
        ------
        ValueError
            There was no such behaviour.
        """
        if version is not None and not 0 <= version <= self.version:
            raise ValueError(f"version={version} must lie in 0..{self.version}")
        found = self._traffic.recognise(body)
        label = self._traffic.true_answer(body)
        if found is None or label is None:
            return None
        return self._changed(label, *found, self.version if version is None else version)

    def _changed(self, text: str, task: str, slot_value: str, version: int) -> str:
        change = self._versions[version].get(task)
        if change is None or not change.swap or unit("change", task, slot_value) >= change.share:
            return text
        return _swap(text, change.swap)


def _swap(text: str, words: Mapping[str, str]) -> str:
    by_word = {word.lower(): other for word, other in words.items()}
    # \w includes the underscore: a part of "cancel_card" is no word of its own
    pattern = "|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in sorted(by_word, key=len, reverse=True))

    def other(match: re.Match[str]) -> str:
        said, new = match.group(), by_word[match.group().lower()]
        if said.isupper() and len(said) > 1:
            return new.upper()
        return new[:1].upper() + new[1:] if said[:1].isupper() else new

    return re.sub(pattern, other, text, flags=re.IGNORECASE)
