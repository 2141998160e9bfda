"""Carries out what people say of tasks: merges two, undoes that, and splits one."""

import msgspec

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.mining.clustering import ClusterEvent
from jitr.models.tasks.records.lineage import CandidateLineage, Found
from jitr.models.tasks.records.task_record import ended, task_id
from jitr.schemas.errors import ConfigError
from jitr.schemas.tasks import Change


class ManualEdits(CandidateLineage):
    """The candidates of one signature, with what people may do to them."""

    def join(self, into: int, other: int, word: Change) -> None:
        """Let a task go on in another because a person says so; each keeps matching by its own template."""
        live = self.miner.clusters.live
        pattern = live[other].pattern
        candidate, gone = self.candidates[into], self.candidates.pop(other)
        assert candidate.task is not None and gone.task is not None, "people merge tasks, not candidates"
        covered = live[into].pattern.covers(pattern)
        self.miner.supersede(live[other], live[into])
        if not covered:
            candidate.earlier.append(pattern)
            self._edited[into] = None
        candidate.absorb(gone)
        if gone.earlier:
            self._edited[into] = None
        candidate.news = msgspec.structs.replace(word, kind="took", other=gone.task.id)
        record = ended(
            gone.task, "merged", msgspec.structs.replace(word, kind="merged", other=candidate.task.id)
        )
        gone.task, gone.kept, gone.ids = record, {}, {}
        candidate.parts[record.id] = gone
        self._edited.pop(other, None)
        self._touched.pop(other, None)
        self._touched[into] = True
        self._out.append(Found(record))

    def bring_back(self, id: int, other: str, word: Change) -> None:
        """Undo `join`: a task that was merged is itself again, with its id, name and counts.

        What came for it meanwhile stays counted where it went.

        Raises
        ------
        ConfigError
            If its template has become another task's since.
        """
        parent = self.candidates[id]
        gone = parent.parts[other]
        assert gone.task is not None, "only tasks are kept as parts"
        first, *rest = [Pattern.of(s) for s in gone.task.templates]
        for pattern in (first, *rest):
            self._free(pattern, id)
        child = self.miner.adopt(first, self.miner.clusters.live[id])
        child.n = max(child.n, gone.count)
        del parent.parts[other]
        back = {p.key for p in (first, *rest)}
        parent.earlier = [p for p in parent.earlier if p.key not in back]
        parent.count = max(0, parent.count - gone.count)
        parent.labels.release(gone.labels)
        gone.earlier = rest
        self.candidates[child.id] = gone
        for number, candidate in ((id, parent), (child.id, gone)):
            self._edited.pop(number, None)
            if candidate.earlier:
                self._edited[number] = None
            self._touched[number] = True
        assert parent.task is not None, "a person's merge was into a task"
        gone.news = msgspec.structs.replace(word, kind="restored", other=parent.task.id)
        parent.news = msgspec.structs.replace(word, kind="restored", other=other)

    def _free(self, pattern: Pattern, id: int) -> None:
        """Raise where a template is another's than this candidate's."""
        known = self.miner.clusters.same(pattern)
        holds = [known.id] if known is not None else []
        holds += [i for i, c in self.candidates.items() if any(p.key == pattern.key for p in c.earlier)]
        for other in holds:
            candidate = self.candidates.get(other)
            if other != id and candidate is not None:
                whose = candidate.task.id if candidate.task is not None else "a candidate"
                raise ConfigError(f"that template is {whose}'s now: merge with that, or split it off there")

    def part(self, id: int, pattern: Pattern, word: Change) -> int:
        """Let a template be a task of its own because a person says so; says its number.

        Parameters
        ----------
        id : int
            The task it is taken from.
        pattern : Pattern
            One of the task's further templates, or a narrower one than its own.
        word : Change
            The person's word.

        Raises
        ------
        ConfigError
            If it is another task's template already.
        """
        self._free(pattern, id)
        child = self.miner.adopt(pattern, self.miner.clusters.live[id])
        parent = self.candidates[id]
        parent.earlier = [p for p in parent.earlier if p.key != pattern.key]
        if not parent.earlier:
            self._edited.pop(id, None)
        self._split(ClusterEvent("split", id, child.id), anew=True)
        candidate = self.candidates[child.id]
        if not child.members:
            candidate.labels.absorb(parent.labels)
        assert parent.task is not None, "people split tasks, not candidates"
        own = task_id(self.key.tenant, candidate.founder)
        parent.news = msgspec.structs.replace(word, kind="split", other=own)
        candidate.news = msgspec.structs.replace(word, kind="split", other=parent.task.id)
        return child.id
