"""Finds the tasks of one tenant in its calls; the mine agent feeds it."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.signature import SignatureKey, key_of, named_of, text_of
from jitr.models.tasks.matching.text import MARKS
from jitr.models.tasks.mining.clustering import MinerPolicy
from jitr.models.tasks.mining.miner import Miner
from jitr.models.tasks.records import curation, state
from jitr.models.tasks.records.lineage import Found, WaitingCalls
from jitr.models.tasks.records.named import Named
from jitr.models.tasks.records.pool import SignaturePool
from jitr.models.tasks.records.task_record import TaskCandidate, record
from jitr.schemas.calls import Call
from jitr.schemas.errors import ConfigError, NotFoundError, RecordError
from jitr.schemas.tasks import Change, Task, TaskCommand

FORMAT = 1
_BATCH = 64


@dataclass(frozen=True, slots=True)
class FinderPolicy:
    """Bounds and thresholds of a finder.

    Parameters
    ----------
    support : int
        Calls before a candidate is a task.
    keep : int
        Calls kept for a candidate, so that no early example is lost.
    pools : int
        Signatures without a task that are remembered, and as many names without one.
    miner : MinerPolicy
        Bounds of mining; the window holds for all signatures together.
    """

    support: int = 30
    keep: int = 64
    pools: int = 256
    miner: MinerPolicy = field(default_factory=MinerPolicy)


class TaskFinder:
    """Learns from the calls of one tenant that no known task explains.

    Deterministic for a stream, in bounded memory; a snapshot resumed goes on exactly as if it had never
    stopped.

    Parameters
    ----------
    tenant : str
        The tenant whose calls it sees.
    policy : FinderPolicy
        Bounds and thresholds.

    Examples
    --------
    >>> from jitr.schemas.calls import Message, Response
    >>> finder = TaskFinder("acme", FinderPolicy(support=10))
    >>> found = []
    >>> for i, word in enumerate("ant bee cat cow dog elk fox gnu hen jay".split()):
    ...     prompt = f"Say how many legs this animal has, as a number. Animal: {word}"
    ...     found += finder.learn(Call(id=str(i), tenant="acme", model="m", time=float(i),
    ...         messages=(Message(role="user", content=prompt),), response=Response(text="4")))
    >>> [(f.task.name, len(f.calls)) for f in found]
    [('say-many-legs-animal', 10)]
    """

    def __init__(self, tenant: str, policy: FinderPolicy | None = None) -> None:
        self.tenant = tenant
        self.policy = policy or FinderPolicy()
        self._seq = 0
        self._pools: dict[SignatureKey, SignaturePool] = {}
        self._named: dict[SignatureKey, Named] = {}
        self._waiting = 0

    def learn(self, call: Call) -> list[Found]:
        """Learn from a call that matched no task.

        Parameters
        ----------
        call : Call
            A call of this tenant.

        Returns
        -------
        list of Found
            Tasks that this call established or changed, with the calls that must now be handed on; a call
            that belongs
            to a known task comes out at once.

        Raises
        ------
        ValueError
            If the call is another tenant's.
        """
        if call.tenant != self.tenant:
            raise ValueError(
                f"call {call.id} is of tenant {call.tenant!r}; this finder serves {self.tenant!r} only"
            )
        self._seq += 1
        if call.task is not None:
            named = self._named_by(call, call.task)
            return named.learn(self._seq, call, self.policy.support, self.policy.keep)
        text = text_of(call)
        if not text.strip(MARKS):
            return []
        pool = self._pool(key_of(call))
        before = len(pool.miner.window)
        found = pool.learn(self._seq, text, call)
        self._waiting += len(pool.miner.window) - before
        if self._waiting > self.policy.miner.window:
            largest = max(self._pools.values(), key=lambda p: len(p.miner.window))
            self._waiting -= largest.forget(_BATCH)
        return found

    def observe(self, call: Call) -> list[Found]:
        """Let a sampled call that matched a task refine what is known; it is not handed on again."""
        self._seq += 1
        if call.task is not None:
            return []
        pool = self._pools.get(key_of(call))
        if pool is None:
            return []
        before = len(pool.miner.window)
        found = pool.observe(self._seq, text_of(call), call)
        self._waiting += len(pool.miner.window) - before
        return found

    def obey(self, command: TaskCommand) -> list[Found]:
        """Do what a person says of tasks; see `jitr.models.tasks.records.curation`.

        Raises
        ------
        NotFoundError
            If there is no such task here.
        ConfigError
            If it cannot be done.
        """
        self._seq += 1
        word = Change(version=0, time=command.time, kind="split", by=command.by, note=command.note)
        pool, id = self._whose(command.task)
        task = pool.record(id)
        if command.verb == "merge":
            beside, second = self._whose(command.other or "")
            curation.merge(task, beside.record(second))
            pool.join(id, second, word)
        elif command.verb == "split":
            if command.template is None:
                raise ConfigError(f"to split {command.task}, say by which template")
            curation.split(task, command.template)
            pool.part(id, curation.pattern_of(command.template), word)
        else:
            gone = pool.candidates[id].parts.get(command.other or "")
            if gone is None or gone.task is None:
                raise NotFoundError(
                    f"no person merged {command.other!r} into {command.task}; nothing to undo"
                )
            pool.bring_back(id, gone.task.id, word)
        return pool.flush()

    def _whose(self, task: str) -> tuple[SignaturePool, int]:
        for pool in self._pools.values():
            for id, candidate in pool.candidates.items():
                if candidate.task is not None and candidate.task.id == task:
                    return pool, id
        raise NotFoundError(f"tenant {self.tenant!r} has no task {task!r} that was found by its template")

    @property
    def tasks(self) -> list[Task]:
        """Current records, candidates included; by age."""
        out: list[tuple[int, Task]] = []
        for pool in self._pools.values():
            for id, found in pool.candidates.items():
                cluster = pool.miner.clusters.live.get(id)
                if found.task is not None:
                    out.append((found.order, found.task))
                elif cluster is not None:
                    out.append((found.order, record(found, pool.key, (cluster.pattern,), frozenset())))
        for named in self._named.values():
            found = named.candidate
            task = found.task or record(found, named.key, named.patterns, frozenset(), named.name)
            out.append((found.order, task))
        return [task for _, task in sorted(out, key=lambda pair: (pair[0], pair[1].id))]

    @property
    def waiting(self) -> int:
        """Distinct prompts that are kept unexplained."""
        return self._waiting

    def snapshot(self) -> bytes:
        """Everything its future depends on, as bytes; equal for equal histories."""
        return state.encode(
            state.FinderState(
                format=FORMAT,
                tenant=self.tenant,
                seq=self._seq,
                pools=[
                    state.PoolState(
                        key=key,
                        miner=state.save_miner(pool.miner),
                        candidates={id: state.save_candidate(c) for id, c in pool.candidates.items()},
                        waiting=[(seq, waiting.calls) for seq, waiting in pool.waiting.items()],
                    )
                    for key, pool in self._pools.items()
                ],
                named=[
                    state.NamedState(
                        key=named.key,
                        name=named.name,
                        candidate=state.save_candidate(named.candidate),
                        patterns=[p.key for p in named.patterns],
                    )
                    for named in self._named.values()
                ],
            )
        )

    @classmethod
    def restore(cls, data: bytes, policy: FinderPolicy | None = None) -> TaskFinder:
        """The finder that was saved.

        Parameters
        ----------
        data : bytes
            A snapshot.
        policy : FinderPolicy
            The policy it ran under, or a new one.

        Raises
        ------
        RecordError
            If the bytes are no snapshot of this format.
        """
        try:
            saved = state.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordError(
                f"these {len(data)} bytes are no snapshot of a finder: {error}", stage="mine"
            ) from error
        if saved.format != FORMAT:
            raise RecordError(
                f"snapshot format {saved.format} given, {FORMAT} expected; mine afresh", stage="mine"
            )
        finder = cls(saved.tenant, policy)
        finder._seq = saved.seq
        for part in saved.pools:
            pool = finder._new_pool(part.key, state.load_miner(part.miner, finder.policy.miner))
            pool.resume(
                {id: state.load_candidate(candidate) for id, candidate in part.candidates.items()},
                {seq: WaitingCalls(text_of(calls[0]), calls) for seq, calls in part.waiting},
            )
            finder._waiting += len(pool.miner.window)
        for kept in saved.named:
            named = Named(kept.key, kept.name, state.load_candidate(kept.candidate))
            named.patterns = tuple([Pattern(*literals) for literals in kept.patterns])
            finder._named[named_of(kept.key, kept.name)] = named
        return finder

    def _new_pool(self, key: SignatureKey, miner: Miner) -> SignaturePool:
        policy = self.policy
        pool = self._pools[key] = SignaturePool(key, miner, policy.support, policy.keep, self._names)
        return pool

    def _pool(self, key: SignatureKey) -> SignaturePool:
        """The pool of a signature; the least recently used one without a task makes room."""
        pool = self._pools.pop(key, None)
        if pool is not None:
            self._pools[key] = pool
            return pool
        if len(self._pools) >= self.policy.pools:
            idle = next((k for k, p in self._pools.items() if not p.has_tasks), None)
            if idle is not None:
                self._waiting -= len(self._pools.pop(idle).miner.window)
        return self._new_pool(key, Miner(self.policy.miner))

    def _named_by(self, call: Call, name: str) -> Named:
        """What its callers name so; the least recently used one that is no task yet makes room."""
        key = key_of(call)
        at = named_of(key, name)
        named = self._named.pop(at, None)
        if named is None:
            named = Named(key, name, TaskCandidate(self._seq, call.id, call.time))
            if len(self._named) >= self.policy.pools:
                idle = next((k for k, n in self._named.items() if n.candidate.status != "task"), None)
                if idle is not None:
                    del self._named[idle]
        self._named[at] = named
        return named

    def _names(self) -> frozenset[str]:
        candidates = [candidate for pool in self._pools.values() for candidate in pool.candidates.values()]
        candidates += [named.candidate for named in self._named.values()]
        return frozenset([candidate.task.name for candidate in candidates if candidate.task is not None])
