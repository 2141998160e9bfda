"""Keeps the tasks that their callers name."""

from collections.abc import Sequence

from jitr.models.tasks.matching.inputs import input_of, slots_in
from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.signature import SignatureKey, text_of
from jitr.models.tasks.mining.draft import common_items, draft
from jitr.models.tasks.mining.items import items_of, shorten
from jitr.models.tasks.mining.window import Entry
from jitr.models.tasks.records.lineage import Found
from jitr.models.tasks.records.task_record import TaskCandidate, record
from jitr.schemas.calls import Call


class Named:
    """A task that its callers name: nothing is guessed, the template only says where the slots are.

    Calls of one name that differ in model, tools or response format are different tasks.
    """

    __slots__ = ("candidate", "key", "name", "patterns")

    def __init__(self, key: SignatureKey, name: str, candidate: TaskCandidate) -> None:
        self.key = key
        self.name = name
        self.candidate = candidate
        self.patterns: tuple[Pattern, ...] = ()

    def learn(self, seq: int, call: Call, support: int, keep: int) -> list[Found]:
        """Learn from a call of this name; the calls come out once there is support for a task."""
        candidate = self.candidate
        text = text_of(call)
        candidate.learn(seq, call, input_of(slots_in(text, self.patterns)))
        candidate.ids = {}
        candidate.kept[seq] = call
        if candidate.status != "task":
            if candidate.count < support:
                while len(candidate.kept) > keep:
                    del candidate.kept[next(iter(candidate.kept))]
                return []
            candidate.status = "task"
            self.patterns = _shared(list(candidate.kept.values()))
        before = candidate.task
        changed = before is None or candidate.count & (candidate.count - 1) == 0
        if changed:
            candidate.task = record(candidate, self.key, self.patterns, frozenset(), self.name)
        assert candidate.task is not None
        calls, candidate.kept = tuple(candidate.kept.values()), {}
        return [Found(candidate.task, calls, changed)]


def _shared(calls: Sequence[Call]) -> tuple[Pattern, ...]:
    """The template that all of these calls have, if they have one."""
    texts = dict.fromkeys([shorten(text_of(call)) for call in calls])
    entries = [Entry(i, text, items_of(text), None, 0.0) for i, text in enumerate(texts)]
    if len(entries) < 2:
        return ()
    found = draft(*common_items(entries), 2)
    if found is None or not found.pattern.size or len(found.members) < len(entries):
        return ()
    return (found.pattern,)
