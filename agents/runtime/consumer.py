"""Faust's consumer, which after a rebalance also goes back to where nothing was committed yet."""

from __future__ import annotations

import contextlib

from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka


class Consumer(aiokafka.Consumer):  # type: ignore[misc]  # Faust has no types here
    """Reads again whatever was not acknowledged.

    Faust drops records that it has fetched while a rebalance is under way, and seeks back to the committed
    offsets; where a partition has none yet it stays where it was, and its first records never come.
    """

    async def perform_seek(self) -> None:
        """Seek to the committed offsets, else to the beginning."""
        await super().perform_seek()
        fresh = [tp for tp in self.assignment() if not self._committed_offset[tp]]
        if not fresh:
            return
        # a partition that is taken from us in the middle is another's to read
        with contextlib.suppress(IllegalStateError):
            # plain `seek` works from our thread on what the consumer's thread reads
            await self.seek_wait(await self.earliest_offsets(*fresh))
