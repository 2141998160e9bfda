"""Saves and loads what a miner and a finder need to go on as if they had never stopped, as plain records."""

from __future__ import annotations

import msgspec

from jitr.models.answers.kinds import LabelState
from jitr.models.answers.label_space import LabelSpace
from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.signature import SignatureKey
from jitr.models.tasks.mining.cluster import Cluster
from jitr.models.tasks.mining.clustering import MinerPolicy
from jitr.models.tasks.mining.items import items_of
from jitr.models.tasks.mining.miner import Miner
from jitr.models.tasks.mining.window import Entry
from jitr.models.tasks.records.task_record import TaskCandidate
from jitr.schemas.calls import Call
from jitr.schemas.tasks import Task

EntryState = tuple[int, str, str | None, float]


class ClusterState(msgspec.Struct, array_like=True):
    """A live cluster."""

    id: int
    prefix: str
    inner: tuple[str, ...]
    suffix: str
    n: int
    last: int
    next_refinement: int
    label_slot: bool
    quiet: int
    members: list[EntryState]
    heads: list[tuple[int, str, int]]
    most_words: int = 0


class PatternState(msgspec.Struct, array_like=True):
    """A template that a candidate had before."""

    prefix: str
    inner: tuple[str, ...]
    suffix: str
    most_words: int = 0


class MinerState(msgspec.Struct):
    """A miner."""

    clock: int
    next_id: int
    window: list[EntryState]
    overflows: dict[str, int]
    lengths: dict[str, int]
    clusters: list[ClusterState]
    aliases: dict[int, int]
    owners: dict[str, tuple[int, ...]]
    siblings: list[tuple[int, tuple[str, ...], str, str, tuple[str, ...], list[int]]]
    dissolved: list[tuple[int, dict[str, int]]]
    seen: list[list[int]]
    waits: dict[str, int] = {}


class TaskCandidateState(msgspec.Struct):
    """What a finder keeps of one template, or of one name given by callers."""

    order: int
    founder: str
    count: int
    first_seen: float
    labels: LabelState
    kept: list[tuple[int, Call]]
    ids: dict[int, str]
    inputs: list[str]
    task: Task | None
    status: str
    last_seen: float = 0.0
    earlier: list[PatternState] = []
    parts: dict[str, TaskCandidateState] = {}


class PoolState(msgspec.Struct):
    """A finder's part for one signature."""

    key: SignatureKey
    miner: MinerState
    candidates: dict[int, TaskCandidateState]
    waiting: list[tuple[int, list[Call]]]


class NamedState(msgspec.Struct):
    """A task that its callers name."""

    key: SignatureKey
    name: str
    candidate: TaskCandidateState
    patterns: list[tuple[str, tuple[str, ...], str]]


class FinderState(msgspec.Struct):
    """A finder."""

    format: int
    tenant: str
    seq: int
    pools: list[PoolState]
    named: list[NamedState]


def save_miner(miner: Miner) -> MinerState:
    """Everything a miner's future depends on."""
    clusters = miner.clusters
    return MinerState(
        clock=miner.clock,
        next_id=miner.next_id,
        window=[_entry(e) for e in miner.window.entries.values()],
        overflows=miner.window.overflows,
        lengths=miner.window.lengths(),
        waits=miner.window.waits,
        clusters=[
            ClusterState(
                id=m.id,
                prefix=m.pattern.prefix,
                inner=m.pattern.inner,
                suffix=m.pattern.suffix,
                n=m.n,
                last=m.last,
                next_refinement=m.next_refinement,
                label_slot=m.label_slot,
                quiet=m.quiet,
                members=[_entry(e) for e in m.members],
                heads=[(j, head, n) for (j, head), n in m.heads.items()],
                most_words=m.pattern.most_words,
            )
            for m in clusters.live.values()
        ],
        aliases=clusters.aliases,
        owners=clusters.slot_values.owners,
        siblings=[(*key, ids) for key, ids in miner.siblings.table.items()],
        dissolved=miner.dissolved.seen,
        seen=[sorted(generation) for generation in miner.seen],
    )


def load_miner(state: MinerState, policy: MinerPolicy) -> Miner:
    """A miner that goes on where the saved one stood."""
    miner = Miner(policy)
    miner.clock = state.clock
    miner.next_id = state.next_id
    miner.window.restore(
        [Entry(seq, text, items_of(text), answer, time) for seq, text, answer, time in state.window],
        state.overflows,
        state.lengths,
        state.waits,
    )
    for kept in state.clusters:
        pattern = Pattern(kept.prefix, kept.inner, kept.suffix, kept.most_words)
        cluster = Cluster(kept.id, pattern, kept.last)
        cluster.n = kept.n
        cluster.next_refinement = kept.next_refinement
        cluster.label_slot = kept.label_slot
        cluster.quiet = kept.quiet
        cluster.members = [Entry(seq, text, (), answer, time) for seq, text, answer, time in kept.members]
        cluster.heads = {(j, head): n for j, head, n in kept.heads}
        miner.clusters.put(cluster)
    miner.clusters.aliases = state.aliases
    miner.clusters.slot_values.owners = state.owners
    miner.siblings.table = {(size, a, b, c, d): ids for size, a, b, c, d, ids in state.siblings}
    miner.dissolved.seen = [(at, words) for at, words in state.dissolved]
    miner.seen = [set(generation) for generation in state.seen]
    return miner


def _entry(entry: Entry) -> EntryState:
    return (entry.seq, entry.text, entry.answer, entry.time)


encode = msgspec.msgpack.Encoder().encode  # the order of insertion matters, and is the stream's
decode = msgspec.msgpack.Decoder(FinderState).decode


def save_candidate(candidate: TaskCandidate) -> TaskCandidateState:
    """Everything that is known of a candidate."""
    return TaskCandidateState(
        order=candidate.order,
        founder=candidate.founder,
        count=candidate.count,
        first_seen=candidate.first_seen,
        labels=candidate.labels.state,
        kept=list(candidate.kept.items()),
        ids=candidate.ids,
        inputs=candidate.inputs,
        task=candidate.task,
        status=candidate.status,
        last_seen=candidate.last_seen,
        earlier=[PatternState(*p.key, p.most_words) for p in candidate.earlier],
        parts={id: save_candidate(part) for id, part in candidate.parts.items()},
    )


def load_candidate(state: TaskCandidateState) -> TaskCandidate:
    """The candidate that was saved."""
    candidate = TaskCandidate(state.order, state.founder, state.first_seen)
    candidate.count = state.count
    candidate.labels = LabelSpace(state.labels)
    candidate.kept = dict(state.kept)
    candidate.ids = state.ids
    candidate.inputs = state.inputs
    candidate.task = state.task
    candidate.status = state.status
    candidate.last_seen = state.last_seen
    candidate.earlier = [Pattern(p.prefix, p.inner, p.suffix, p.most_words) for p in state.earlier]
    candidate.parts = {id: load_candidate(part) for id, part in state.parts.items()}
    return candidate
