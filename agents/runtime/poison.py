"""Finding the one event of a batch that cannot be worked on, so that it harms no other.

An event may fail in the handler, or lead to what no checkpoint can encode, which shows batches later. Either
way it becomes a dead letter, and the state is as if it had never come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from mode.utils.logging import get_logger

from jitr.agents.runtime.crash_markers import CrashMarker
from jitr.agents.runtime.decode import Unpacked, blame
from jitr.agents.runtime.durable import Durable, EncodedCheckpoint
from jitr.agents.runtime.handler import IncomingEvent
from jitr.schemas.errors import JitrError, UnavailableError

T = TypeVar("T")
log = get_logger(__name__)


class FatalEventError(JitrError):
    """An event that killed its process as often as we let it."""


class PoisonFilter(Generic[T]):
    """Works on batches; one that fails is done again event by event, and who fails alone is dead-lettered.

    Parameters
    ----------
    durable : Durable
    marker : CrashMarker
        Name the batch that is worked on, for the case that it kills the process.
    agent : str
        Whose work it is.
    """

    def __init__(self, durable: Durable[T], marker: CrashMarker, agent: str) -> None:
        self._durable = durable
        self._marker = marker
        self._agent = agent

    async def apply(self, batch: Sequence[Unpacked[T]]) -> None:
        """Work on a batch.

        Raises
        ------
        UnavailableError, OSError
            If a server or the disk is away: nothing of it was done.
        """
        events = [d for u in batch for d in u.events]
        if not events:
            return
        try:
            if not any(self._marker.one_by_one(_place(d)) for d in events):
                # what kills at the next checkpoint may also be an event of an earlier batch
                first = next((d for u in self._durable.pending for d in u.events), events[0])
                self._marker.begin(_place(first), _place(events[-1]))
                try:
                    await self._durable.handle(events)
                    return
                except (OSError, UnavailableError):
                    raise
                except Exception as error:
                    log.warning("%s: a batch of %d failed: %r", self._agent, len(events), error)
                    self._durable.torn = self._durable.stateful
            await self._one_by_one(batch)
        except (OSError, UnavailableError):
            self._durable.torn = True
            raise

    async def checkpoint(self) -> None:
        """Make what is pending durable; events that lead to what cannot be encoded are dead-lettered.

        Raises
        ------
        UnavailableError, OSError
            If a server or the disk is away: nothing was acknowledged.
        LostError
            If another has taken the state up: nothing was sent.
        """
        durable = self._durable
        durable.keep()
        try:
            if durable.torn:
                await durable.replay([d for u in durable.pending for d in u.events])
            encoded = durable.encode()
        except (OSError, UnavailableError):
            raise
        except Exception as error:
            log.warning("%s: a checkpoint failed: %r", self._agent, error)
            encoded = await self._purge([])
        await durable.commit(encoded)

    async def _one_by_one(self, batch: Sequence[Unpacked[T]]) -> None:
        durable, good = self._durable, list[tuple[Unpacked[T], IncomingEvent[T]]]()
        for u in batch:
            for incoming in tuple(u.events):
                at = _place(incoming)
                try:
                    if self._marker.is_poison(at):
                        raise FatalEventError(f"killed its process three times (event {incoming.id})")
                    self._marker.begin(at, at)
                    await durable.handle([incoming])
                    if self._marker.one_by_one(at):
                        # what kills while it is encoded is this event's doing too
                        durable.encode()
                    good.append((u, incoming))
                except (OSError, UnavailableError):
                    raise
                except Exception as error:
                    self._bury(u, incoming, error)
                    if durable.stateful:
                        await self._again(good)

    async def _again(self, good: list[tuple[Unpacked[T], IncomingEvent[T]]]) -> None:
        """Do what is pending and was good once more, from the last snapshot."""
        durable = self._durable
        try:
            await durable.replay([d for u in durable.pending for d in u.events] + [d for _, d in good])
        except (OSError, UnavailableError):
            raise
        except Exception as error:
            log.warning("%s: what was good before fails now: %r", self._agent, error)
            await self._purge(good)

    async def _purge(self, more: Sequence[tuple[Unpacked[T], IncomingEvent[T]]]) -> EncodedCheckpoint:
        """Bury events until all others, done again from the last snapshot, can be encoded."""
        while True:
            events = [(u, d) for u in self._durable.pending for d in u.events]
            events += [(u, d) for u, d in more if d in u.events]
            found = await self._tried([d for _, d in events])
            if isinstance(found, EncodedCheckpoint):
                return found
            if not events:
                raise found
            # the shortest beginning that cannot be encoded ends with a poison message
            sound, unsound = 0, len(events)
            while unsound - sound > 1:
                middle = (sound + unsound) // 2
                tried = await self._tried([d for _, d in events[:middle]])
                if isinstance(tried, EncodedCheckpoint):
                    sound = middle
                else:
                    unsound, found = middle, tried
            self._bury(*events[unsound - 1], found)

    async def _tried(self, events: Sequence[IncomingEvent[T]]) -> EncodedCheckpoint | Exception:
        try:
            await self._durable.replay(events)
            return self._durable.encode()
        except (OSError, UnavailableError):
            self._durable.torn = True
            raise
        except Exception as error:
            return error

    def _bury(self, unpacked: Unpacked[T], incoming: IncomingEvent[T], error: Exception) -> None:
        unpacked.events.remove(incoming)
        # it may be replayed one day, under the same id
        self._durable.forget(incoming)
        unpacked.letters.append(blame(unpacked, incoming, error, self._agent))


def _place(incoming: IncomingEvent[T]) -> tuple[int, int]:
    return incoming.offset, incoming.index
