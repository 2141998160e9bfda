"""What `jitr scan` says of a log, as `--json` prints it."""

from __future__ import annotations

from typing import Literal

import msgspec

from jitr.schemas.tasks import OutputKind


class Interval(msgspec.Struct, frozen=True):
    """An estimate and the interval it lies in at 95%."""

    expected: float
    low: float
    high: float


class Potential(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a task a quick linear surrogate could take, measured on calls later than those it learned.

    ``agreement`` is the share of all held-out answers that agree with the LLM's, ``agreement_low`` its lower
    bound, for which near-duplicates count once. ``coverage`` is the share of calls that it may answer at the
    target: proved, by a threshold that was fixed without the held-out calls; 0 where nothing was proved, and
    ``reason`` says why. ``bound`` is the lower bound of agreement on that share. ``learned`` and ``held``
    count distinct inputs.
    """

    learned: int = 0
    held: int = 0
    agreement: float | None = None
    agreement_low: float | None = None
    coverage: float = 0.0
    bound: float = 0.0
    reason: str = ""


class ScanTask(msgspec.Struct, frozen=True, kw_only=True):
    """One task of a log.

    ``template`` has its slots marked. ``labels`` are the most frequent labels with their counts,
    ``unparsed`` the answers that are none of them. ``only_teacher`` counts the calls that no surrogate may
    answer, by why (`jitr.schemas.only_teacher`), with the parameter where the reason is of many;
    ``no_labels`` those whose answers teach nothing, by why (`jitr.schemas.labels`); ``learnable`` are the
    calls that are neither. ``examples`` are slot values. ``cost_deviation_usd`` is the standard deviation of
    a call's cost. ``saving`` is dollars in the report's period.
    """

    id: str
    name: str
    tenant: str
    model: str
    template: str
    kind: OutputKind
    calls: int
    share: float
    input_tokens: int
    output_tokens: int
    cost_usd: float
    cost_deviation_usd: float
    labels: tuple[tuple[str, int], ...]
    label_count: int
    unparsed: int
    only_teacher: dict[str, int]
    no_labels: dict[str, int]
    learnable: int
    examples: tuple[str, ...]
    first_seen: float
    last_seen: float
    potential: Potential = Potential()
    saving: Interval = Interval(0.0, 0.0, 0.0)


class UnreadableLine(msgspec.Struct, frozen=True):
    """A line that could not be read, and why."""

    line: int
    reason: str


class ScanReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a log holds.

    ``estimated_tokens`` says how many calls had no token counts, so that theirs were estimated; ``unpriced``
    how many calls had no price; ``unmatched_share`` is the share of calls in no task.
    ``saving`` is forecast for a ``period``: a month at the log's rate, or as much again as the log where its
    calls have no times. ``only_teacher`` counts the calls that no surrogate may answer, by why, ``no_labels``
    those whose answers teach nothing. ``refused`` are the first lines that could not be read, of
    ``refused_lines``.
    """

    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    first_seen: float
    last_seen: float
    tasks: tuple[ScanTask, ...]
    unmatched: int
    unmatched_share: float
    unmatched_usd: float
    estimated_tokens: int
    unpriced: int
    only_teacher: dict[str, int] = {}
    no_labels: dict[str, int] = {}
    refused_lines: int = 0
    refused: tuple[UnreadableLine, ...] = ()
    target: float = 0.0
    delta: float = 0.0
    period: Literal["month", "log"] = "log"
    period_usd: float = 0.0
    saving: Interval = Interval(0.0, 0.0, 0.0)
    seconds: float = 0.0
