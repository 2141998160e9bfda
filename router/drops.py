"""Why a call was lost: a closed list, so that every loss can be counted and watched."""

from __future__ import annotations

from enum import StrEnum


class Drop(StrEnum):
    """The label ``reason`` of ``jitr_dropped_events_total``.

    Examples
    --------
    >>> Drop("disk_full").wants_room, Drop.TOO_LARGE.wants_room
    (True, False)
    """

    # more than there is room for: the calls after it are in danger too
    QUEUE_FULL = "queue_full"
    """More calls came than could be sent or written; the queue in memory was full."""
    SPOOL_FULL = "spool_full"
    """Kafka was away for longer than ``gateway.spool_mb`` and the queue in memory last."""
    DISK_FULL = "disk_full"
    """Kafka was away, the disk was full, and the queue in memory too."""
    NO_SPOOL = "no_spool"
    """Kafka was away, the spool could not be opened or written, and the queue in memory was full."""

    # this call alone
    TOO_LARGE = "too_large"
    """Larger than a record of Kafka may be."""
    UNENCODABLE = "unencodable"
    """It cannot be written as an event that readers take."""
    REFUSED = "refused"
    """Kafka refused the record for what it is."""
    FAILED = "failed"
    """Preparing it raised an error; this is a bug, and the log says more."""
    DAMAGED = "damaged"
    """It waited on disk, and the file was damaged."""
    CLOSED = "closed"
    """It came after the stop."""

    @property
    def wants_room(self) -> bool:
        """Whether it was lost for want of room, and not for what it is."""
        return self in (Drop.QUEUE_FULL, Drop.SPOOL_FULL, Drop.DISK_FULL, Drop.NO_SPOOL)
