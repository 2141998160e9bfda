"""Why a call was lost: a closed list, so that every loss can be counted and watched."""

from __future__ import annotations

from enum import StrEnum


class Drop(StrEnum):
    """The label ``reason`` of ``jitr_dropped_events_total``.

    Examples
    --------
    >>> Drop("disk_full").is_outage, Drop.TOO_LARGE.is_outage
    (True, False)
    """

    # nothing takes calls: those after it are in danger too
    QUEUE_FULL = "queue_full"
    """More calls came than could be sent or written; the queue in memory was full."""
    SPOOL_FULL = "spool_full"
    """Kafka was away for longer than ``gateway.spool_mb`` and the queue in memory last."""
    DISK_FULL = "disk_full"
    """Kafka was away, the disk was full, and the queue in memory too."""
    NO_SPOOL = "no_spool"
    """Kafka was away, the spool could not be opened or written, and the queue in memory was full."""

    REFUSED = "refused"
    """Kafka refused the record, and would refuse it again: its topic takes no such records."""

    # this call alone
    TOO_LARGE = "too_large"
    """Larger than a record of Kafka may be."""
    UNENCODABLE = "unencodable"
    """It cannot be written as an event that readers take."""
    FAILED = "failed"
    """Preparing it raised an error; this is a bug, and the log says more."""
    DAMAGED = "damaged"
    """It waited on disk, and the file was damaged."""
    CLOSED = "closed"
    """It came after the stop."""

    @property
    def is_outage(self) -> bool:
        """Whether it was lost because nothing took it, and not for what it is."""
        return self in (Drop.QUEUE_FULL, Drop.SPOOL_FULL, Drop.DISK_FULL, Drop.NO_SPOOL, Drop.REFUSED)
