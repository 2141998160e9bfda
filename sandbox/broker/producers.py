"""Sequence numbers of idempotent producers: a retried batch is stored once, a gap is refused (KIP-98)."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from jitr.sandbox.broker.wire.batch import BatchHeader
from jitr.sandbox.broker.wire.codes import Code, RefusalError

_REMEMBERED_BATCHES = 5  # a producer may have five requests in flight
_REMEMBERED_PRODUCERS = 1000


@dataclass(slots=True)
class _Producer:
    epoch: int
    batches: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_BATCHES))


class ProducerSequences:
    """What a partition remembers of its producers: the last five batches of each, the last 1000 of them.

    Examples
    --------
    >>> sequences = ProducerSequences()
    >>> batch = BatchHeader(0, 100, 9, 0, 0, producer_id=7, producer_epoch=0, base_sequence=0, count=10)
    >>> sequences.duplicate_of(batch), sequences.note(batch, 40), sequences.duplicate_of(batch)
    (None, None, 40)
    """

    def __init__(self) -> None:
        self._producers: OrderedDict[int, _Producer] = OrderedDict()

    def duplicate_of(self, batch: BatchHeader) -> int | None:
        """Base offset under which this very batch is stored already, or None if it is the next one.

        Raises
        ------
        RefusalError
            OUT_OF_ORDER_SEQUENCE_NUMBER, DUPLICATE_SEQUENCE_NUMBER (older than the remembered batches) or
            INVALID_PRODUCER_EPOCH.
        """
        if batch.producer_id < 0:
            return None
        known = self._producers.get(batch.producer_id)
        if known is None:
            return None  # forgotten, or new here: any start is taken, as Kafka does since KIP-360
        if batch.producer_epoch < known.epoch:
            raise RefusalError(
                Code.INVALID_PRODUCER_EPOCH, f"epoch {batch.producer_epoch} is older than {known.epoch}"
            )
        if batch.producer_epoch > known.epoch:
            if batch.base_sequence != 0:
                raise RefusalError(
                    Code.OUT_OF_ORDER_SEQUENCE_NUMBER,
                    f"a new epoch starts at sequence 0, not {batch.base_sequence}",
                )
            return None
        for first, last, offset in known.batches:
            if first == batch.base_sequence and last == batch.last_sequence:
                return offset
        last_seen = known.batches[-1][1]
        expected = (last_seen + 1) & 0x7FFFFFFF
        if batch.base_sequence == expected:
            return None
        if batch.last_sequence <= last_seen:
            raise RefusalError(
                Code.DUPLICATE_SEQUENCE_NUMBER, f"sequence {batch.base_sequence} was stored long ago"
            )
        raise RefusalError(
            Code.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"producer {batch.producer_id} sent sequence {batch.base_sequence}, {expected} comes next",
        )

    def note(self, batch: BatchHeader, base_offset: int) -> None:
        """Remember a batch that was stored."""
        if batch.producer_id < 0:
            return
        known = self._producers.get(batch.producer_id)
        if known is None or known.epoch != batch.producer_epoch:
            known = self._producers[batch.producer_id] = _Producer(batch.producer_epoch)
        known.batches.append((batch.base_sequence, batch.last_sequence, base_offset))
        self._producers.move_to_end(batch.producer_id)
        if len(self._producers) > _REMEMBERED_PRODUCERS:
            self._producers.popitem(last=False)
