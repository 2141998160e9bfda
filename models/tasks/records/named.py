"""Tasks that their callers name."""

from collections.abc import Sequence

from jitr.models.tasks.matching.inputs import input_of, slots_in
from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.signature import SignatureKey, text_of
from jitr.models.tasks.mining.draft import common_items, draft
from jitr.models.tasks.mining.items import items_of, shorten
from jitr.models.tasks.mining.window import Entry
from jitr.models.tasks.records.lineage import Found
from jitr.models.tasks.records.task_record import Case, record
from jitr.schemas.calls import Call


class Named:
    """A task that its callers name: nothing is guessed, the template only says where the slots are.

    Calls of one name that differ in model, tools or response format are different tasks.
    """

    __slots__ = ("case", "key", "name", "patterns")

    def __init__(self, key: SignatureKey, name: str, case: Case) -> None:
        self.key = key
        self.name = name
        self.case = case
        self.patterns: tuple[Pattern, ...] = ()

    def learn(self, seq: int, call: Call, support: int, keep: int) -> list[Found]:
        """Learn from a call of this name; the calls come out once there is support for a task."""
        case = self.case
        text = text_of(call)
        case.learn(seq, call, input_of(slots_in(text, self.patterns)))
        case.ids = {}
        case.kept[seq] = call
        if case.status != "task":
            if case.count < support:
                while len(case.kept) > keep:
                    del case.kept[next(iter(case.kept))]
                return []
            case.status = "task"
            self.patterns = _shared(list(case.kept.values()))
        before = case.task
        changed = before is None or case.count & (case.count - 1) == 0
        if changed:
            case.task = record(case, self.key, self.patterns, frozenset(), self.name)
        assert case.task is not None
        calls, case.kept = tuple(case.kept.values()), {}
        return [Found(case.task, calls, changed)]


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
