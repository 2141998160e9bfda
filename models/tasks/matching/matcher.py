"""Says which task a call belongs to; detector and router run the same code."""

from collections.abc import Iterable

import msgspec

from jitr.models.tasks.matching.index import Index
from jitr.models.tasks.matching.inputs import input_of, patterns_of, slots_in
from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.signature import SignatureKey, key_of, key_of_task, named_of, text_of
from jitr.schemas.calls import Call
from jitr.schemas.tasks import Task


class Match(msgspec.Struct, frozen=True):
    """A call's task, and what varies in the call.

    Parameters
    ----------
    task_id : str
        The task.
    version : int
        Version of the task's record that matched.
    slots : tuple of str
        What stands between the constant runs, in order.
    input : str
        The text a surrogate reads, made from the slots.
    """

    task_id: str
    version: int
    slots: tuple[str, ...]
    input: str


class Matcher:
    """Matches calls against a snapshot of tasks; stateless, it learns nothing.

    A call that its caller has named matches the task of that name, model, tools and response format, and no
    other: nothing is guessed. Every other call matches, among the templates of its own signature, the one
    with most constant characters.

    Parameters
    ----------
    tasks : iterable of Task
        Any records; those that are no established task are left out.

    Examples
    --------
    >>> from jitr.schemas.calls import Message
    >>> from jitr.schemas.tasks import Signature, Template
    >>> task = Task(id="t1", tenant="acme", status="task", signature=Signature(model="m", shape="user"),
    ...             templates=(Template(prefix="Sentiment of:"),))
    >>> call = Call(id="1", tenant="acme", model="m", time=0.0,
    ...             messages=(Message(role="user", content="Sentiment of:  lovely"),))
    >>> Matcher([task]).match(call)
    Match(task_id='t1', version=1, slots=(' lovely',), input='lovely')
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._indexes: dict[SignatureKey, Index[tuple[Task, tuple[Pattern, ...]]]] = {}
        self._named: dict[SignatureKey, tuple[Task, tuple[Pattern, ...]]] = {}
        # in the order of their ids: two snapshots with the same tasks decide ties alike
        for task in sorted(tasks, key=lambda t: t.id):
            if task.status != "task":
                continue
            patterns = patterns_of(task.templates)
            key = key_of_task(task.tenant, task.signature)
            if task.caller_name is not None:
                self._named[named_of(key, task.caller_name)] = (task, patterns)
                continue
            index = self._indexes.setdefault(key, Index())
            for pattern in patterns:
                index.add(pattern, (task, patterns))

    def match(self, call: Call) -> Match | None:
        """The task of a call, with or without a response; None where it has none."""
        if call.task is not None:
            named = self._named.get(named_of(key_of(call), call.task))
            if named is None:
                return None
            task, patterns = named
            slots = slots_in(text_of(call), patterns)
            return Match(task.id, task.version, slots, input_of(slots))
        index = self._indexes.get(key_of(call))
        if index is None:
            return None
        text = text_of(call)
        found = index.find(text)
        if found is None:
            return None
        pattern, (task, patterns) = found
        slots = pattern.slots(text) if len(patterns) == 1 else slots_in(text, patterns)
        return Match(task.id, task.version, slots, input_of(slots))
