"""A watchdog: an agent that stands still while its source moves on is better restarted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from mode.utils.logging import get_logger

from jitr.router.servers.kafka import client_options
from jitr.schemas.errors import UnavailableError
from jitr.schemas.servers import KafkaSettings

log = get_logger(__name__)
Offsets = Mapping[TopicPartition, int]


class StuckError(UnavailableError):
    """A group stands still: the worker is better started anew."""


class Progress:
    """Tells which groups stand still.

    Examples
    --------
    >>> tp = TopicPartition("t", 0)
    >>> progress = Progress(patience_s=10.0)
    >>> progress.stuck("g", {tp: 5}, {tp: 5}, now_s=0.0)          # all done
    []
    >>> progress.stuck("g", {tp: 9}, {tp: 5}, now_s=8.0)          # something came
    []
    >>> progress.stuck("g", {tp: 12}, {tp: 5}, now_s=19.0) == [tp]  # and was not worked on
    True
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._moved: dict[tuple[str, TopicPartition], tuple[int, float]] = {}

    def stuck(self, group: str, ends: Offsets, committed: Offsets, now_s: float) -> list[TopicPartition]:
        """Learn where a group stands; the partitions are returned that lag and have not moved for long."""
        found = []
        for tp, end in ends.items():
            at = committed.get(tp, 0)
            before, since = self._moved.get((group, tp), (-1, now_s))
            if at != before or at >= end:
                self._moved[group, tp] = (at, now_s)
            elif now_s - since >= self._patience_s:
                found.append(tp)
        return found


async def watch(
    kafka: KafkaSettings, groups: Mapping[str, Callable[[], Iterable[TopicPartition]]], patience_s: float
) -> None:
    """Look at consumer groups for as long as all of them move.

    Parameters
    ----------
    kafka : KafkaSettings
    groups : mapping of group to what gives the partitions that are ours in it
    patience_s : float
        How long a group may stand still while it lags.

    Raises
    ------
    StuckError
        If one stands still.
    """
    admin = AIOKafkaAdminClient(**client_options(kafka))
    consumer = AIOKafkaConsumer(**client_options(kafka), group_id=None)
    progress = Progress(patience_s)
    loop = asyncio.get_running_loop()
    try:
        await admin.start()
        await consumer.start()
        while True:
            await asyncio.sleep(patience_s / 8)
            try:
                for group, assigned in groups.items():
                    tps = [TopicPartition(*tp) for tp in assigned()]
                    if not tps:
                        continue
                    ends = await consumer.end_offsets(tps)
                    offsets = await admin.list_consumer_group_offsets(group)
                    committed = {tp: meta.offset for tp, meta in offsets.items()}
                    stuck = progress.stuck(group, ends, committed, loop.time())
                    if stuck:
                        place = f"{stuck[0].topic}/{stuck[0].partition}"
                        raise StuckError(
                            f"{group} has not moved for {patience_s:.0f} s at {place}"
                            " while its source has; the worker ends, so that it is started anew"
                        )
            except KafkaError as error:
                log.warning("watchdog: waiting for Kafka: %r", error)
    finally:
        await consumer.stop()
        await admin.close()
