"""What the demo does, in order: learn, replace, change the teacher, switch back."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

from jitr.sandbox.demo.driver import Driver
from jitr.sandbox.demo.watch import DemoWatch
from jitr.sandbox.traffic.request import Traffic

ANSWERING = ("canary", "active")


@dataclass
class Story:
    """Decides when to change the teacher, and when to stop.

    Parameters
    ----------
    calls : int
        Requests to send in all, unless the story ends sooner.
    drift_after : float
        Share of the calls after which the teacher changes its mind about one task.
    drift : bool
        Whether it does at all: recorded answers are what they are.
    """

    driver: Driver
    watch: DemoWatch
    calls: int
    drift_after: float = 0.65
    drift: bool = True
    changed: dict[str, float] = field(default_factory=dict)
    phase: str = "learning"

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the story until its end, then set ``stop``."""
        while not stop.is_set():
            await asyncio.sleep(0.2)
            sent = len(self.driver.outcomes)
            answering = [r for r in self.watch.routes.values() if r.state in ANSWERING]
            if self.phase == "learning" and answering:
                self.phase = "replacing"
            if self.drift and not self.changed and sent >= self.drift_after * self.calls:
                await self._change()
            if sent >= self.calls:
                stop.set()
        self.phase = "ending"

    async def _change(self) -> None:
        """Swap the two commonest answers of the busiest task that a surrogate answers."""
        seen = Counter(
            o.task for o in self.driver.outcomes[-3000:] if o.task and o.route == "surrogate"
        ).most_common()
        for task, _ in seen:
            pair = commonest(self.driver.traffic, task)
            if pair is None:
                continue
            await self.driver.change(task, {pair[0]: pair[1], pair[1]: pair[0]})
            self.changed[task] = self.watch.at_s()
            self.phase = f"the teacher now answers {task} otherwise"
            self.watch.tell_all(f"the teacher changed: {task} says {pair[1]!r} for {pair[0]!r} and back")
            return


def commonest(traffic: Traffic, task: str, sample: int = 600) -> tuple[str, str] | None:
    """The two commonest one-word answers of a task, or None if it has no two."""
    count = Counter(r.label for r in islice(iter(traffic), sample) if r.task == task and r.label)
    words = [label for label, _ in count.most_common() if label.replace("_", "").replace("-", "").isalnum()]
    return (words[0], words[1]) if len(words) >= 2 else None
