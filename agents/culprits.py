"""Finding the one event of a batch that cannot be worked on, so that it harms no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from mode.utils.logging import get_logger

from jitr.agents.durable import Durable
from jitr.agents.handler import Delivery
from jitr.agents.marks import Marks
from jitr.agents.unpack import Unpacked, blame
from jitr.schemas.errors import JitrError, UnavailableError

T = TypeVar("T")
log = get_logger(__name__)


class FatalEventError(JitrError):
    """An event that killed its process as often as we let it."""


class Culprits(Generic[T]):
    """Works on batches; one that fails is done again event by event, and who fails alone is dead-lettered.

    Parameters
    ----------
    durable : Durable
    marks : Marks
        Name the batch that is worked on, for the case that it kills the process.
    agent : str
        Whose work it is.
    """

    def __init__(self, durable: Durable[T], marks: Marks, agent: str) -> None:
        self._durable = durable
        self._marks = marks
        self._agent = agent

    async def apply(self, batch: Sequence[Unpacked[T]]) -> None:
        """Work on a batch.

        Raises
        ------
        UnavailableError, OSError
            If a server is away: nothing of it was done.
        """
        events = [d for u in batch for d in u.events]
        if not events:
            return
        if not any(self._marks.one_by_one(_place(d)) for d in events):
            self._marks.begin(_place(events[0]), _place(events[-1]))
            try:
                await self._durable.handle(events)
                return
            except (OSError, UnavailableError):
                await self._durable.rewind()
                raise
            except Exception as error:
                log.warning("%s: a batch of %d failed: %r", self._agent, len(events), error)
                await self._durable.rewind()
        await self._one_by_one(batch)

    async def _one_by_one(self, batch: Sequence[Unpacked[T]]) -> None:
        durable, good = self._durable, list[Delivery[T]]()
        for u in batch:
            for delivery in tuple(u.events):
                at = _place(delivery)
                try:
                    if self._marks.guilty(at):
                        raise FatalEventError(f"killed its process three times (event {delivery.id})")
                    self._marks.begin(at, at)
                    await durable.handle([delivery])
                    good.append(delivery)
                except (OSError, UnavailableError):
                    await durable.rewind()
                    raise
                except Exception as error:
                    u.events.remove(delivery)
                    # it may be replayed one day, under the same id
                    durable.forget(delivery)
                    u.letters.append(blame(u.source, delivery, error, self._agent))
                    await durable.rewind()
                    if good and durable.stateful:
                        await durable.handle(good)


def _place(delivery: Delivery[T]) -> tuple[int, int]:
    return delivery.offset, delivery.index
