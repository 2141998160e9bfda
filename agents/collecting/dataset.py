"""What collect keeps of one task: its parts, how the teacher writes labels, what it costs, how sure it is."""

from __future__ import annotations

from pathlib import PurePosixPath

import fsspec
import msgspec

from jitr.models.economics.pace import Pace
from jitr.models.promise.repeats import Repeats
from jitr.models.promise.self_agreement import SelfAgreement, SelfAgreementState
from jitr.schemas.policy import Policy
from jitr.schemas.tasks import TaskCall
from jitr.schemas.trainings import PartRef

_MOST_LABELS = 300
_MOST_TEXTS = 6


class CollectedDataset(msgspec.Struct):
    """The state of one task.

    ``labels`` counts all since the task began; ``old`` of them came before ``since_offset``, the break that
    led to the last demotion, the ``demotions``-th, or were lost. ``trained_at`` are the labels at the last
    training since then, ``training`` is its id, ``asked_at`` the labels at which a training was last found
    not to pay, ``ticked_at`` those that the last tick told. ``withheld`` is the cause that was told last.
    """

    labels: int = 0
    trained_at: int = 0
    ticked_at: int = 0
    asked_at: int = 0
    time: float = 0.0
    parts: dict[str, PartRef] = {}
    texts: dict[str, dict[str, int]] = {}
    usual: dict[str, str] = {}
    pace: Pace = msgspec.field(default_factory=Pace)
    bills: int = 0
    bill_usd: float = 0.0
    repeats: Repeats = msgspec.field(default_factory=Repeats)
    noise: SelfAgreementState | None = None
    withheld: str = ""
    old: int = 0
    since_offset: int = 0
    demotions: int = 0
    training: str | None = None

    def called(self, call: TaskCall, priced: bool) -> None:
        """Learn a call, whoever answered it; ``priced`` where its cost is known, be it nothing."""
        self.pace.call(call.time)
        if call.response is not None and priced:
            self.bills += 1
            self.bill_usd += call.cost_usd

    def answered(self, call: TaskCall, offset: int, label: str, text: str, policy: Policy) -> None:
        """Learn an answer of the teacher, how it was written, and whether it is what was said before."""
        self.labels += 1
        self.time = call.time
        if offset < self.since_offset:
            # we were slower than the demotion test: it is counted, and is from before the break
            self.old += 1
            return
        self._written(label, text)
        if not call.cost_usd and self.bill_usd:
            # an answer that cost nothing where others cost something is a cache's copy of one of them
            return
        teacher = call.response.model if call.response is not None else ""
        agreed = self.repeats.answered(call.input, label, teacher or call.model, policy.tolerance)
        if agreed is not None:
            noise = SelfAgreement.under(self.noise, policy.target, policy.delta)
            noise.update(agreed)
            self.noise = noise.state()

    def contradicted(self, policy: Policy) -> str:
        """Why the promise cannot be kept by anybody: the teacher contradicts itself; empty where it can."""
        noise = self.noise
        if noise is None or not (noise.refused or noise.target != policy.target):
            return ""
        test = SelfAgreement.under(noise, policy.target, policy.delta)
        return test.reason if test.refused else ""

    def begin_anew(self, parts: dict[str, PartRef], fresh: int, since_offset: int, demotions: int) -> None:
        """The teacher has changed: keep these parts, of whose labels so many are fresh."""
        self.parts, self.old = parts, self.labels - fresh
        self.since_offset, self.demotions = since_offset, demotions
        self.trained_at = self.asked_at = 0
        self.training = None
        # until a label comes again, it is written as it was
        self.usual, self.texts = self.renderings, {}
        self.repeats, self.noise = Repeats(), None

    def forget_lost(self, folder: str) -> list[str]:
        """Forget parts that are not in their folder any more: every training that names one would fail.

        Their labels count as those from before a break do.
        """
        fs, path = fsspec.core.url_to_fs(folder)
        fs.invalidate_cache()
        names = fs.ls(path, detail=False) if fs.exists(path) else ()
        there = {PurePosixPath(name).name for name in names}
        lost = [url for url in self.parts if PurePosixPath(url).name not in there]
        for url in lost:
            self.old += self.parts.pop(url).rows
        return lost

    @property
    def mean_bill_usd(self) -> float | None:
        """Mean bill of the teacher; None where no price is known."""
        return self.bill_usd / self.bills if self.bills else None

    @property
    def renderings(self) -> dict[str, str]:
        """The usual text of each label; of two as usual, the one that sorts first."""
        return self.usual | {
            label: min(texts, key=lambda t: (-texts[t], t)) for label, texts in sorted(self.texts.items())
        }

    def _written(self, label: str, text: str) -> None:
        """Count, within bounds, how an answer was written."""
        texts = self.texts.get(label)
        if texts is None:
            if len(self.texts) >= _MOST_LABELS:
                return
            texts = self.texts[label] = {}
        if text in texts or len(texts) < _MOST_TEXTS:
            texts[text] = texts.get(text, 0) + 1
