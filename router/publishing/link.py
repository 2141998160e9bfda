"""The connection to Kafka: made, kept, let go where it hangs, and made again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from enum import Enum
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    CorruptRecordException,
    InvalidMessageError,
    InvalidTimestampError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownError,
    UnsupportedForMessageFormatError,
)

from jitr.router.servers.kafka import client_options, why
from jitr.router.servers.rights import says
from jitr.schemas.errors import ConfigError, UnavailableError
from jitr.schemas.events import BATCH
from jitr.schemas.rights import KafkaRight
from jitr.schemas.settings import Settings

log = logging.getLogger(__name__)
HEADERS: Final = [("content-type", BATCH.encode())]
# Kafka's own bound on a record is 1 MiB unless the topic says otherwise
RECORD_BYTES: Final = 1_000_000
SEND_TIMEOUT_S: Final = 5.0
RETRY_S: Final = 1.0
MOST_UNKNOWN: Final = 5
_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
_REFUSED: Final = (
    CorruptRecordException,
    InvalidMessageError,
    InvalidTimestampError,
    PolicyViolationError,
    UnsupportedForMessageFormatError,
)
_FAILURES: Final = (KafkaError, OSError, TimeoutError)


class Sent(Enum):
    """What became of a record."""

    TAKEN = "taken"
    TOO_LARGE = "too_large"
    REFUSED = "refused"
    AWAY = "away"
    """Kafka is away, hangs or takes nothing from us; the same record may be taken later."""


class KafkaLink:
    """One producer for one topic; nothing here raises for what Kafka does or does not do.

    Parameters
    ----------
    settings : Settings
    topic : str

    Attributes
    ----------
    trouble : str
        Why Kafka takes nothing now; empty while it does.
    tried : Event
        Set once the first connection was made or has failed.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings: Final = settings
        self._topic: Final = topic
        self._producer: AIOKafkaProducer | None = None
        self._unknown = 0
        self.trouble = "not connected yet"
        self.tried: Final = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether there is a producer to send by."""
        return self._producer is not None

    async def keep(self, connected: Callable[[], object]) -> None:
        """Connect, and connect again whenever the connection was let go; never returns.

        ``connected`` is called after each connection.
        """
        while True:
            if self._producer is None:
                if await self._connect():
                    connected()
                self.tried.set()
            await asyncio.sleep(RETRY_S)

    async def send(self, record: bytes) -> Sent:
        """Send one record; after a failure of Kafka's the connection is let go."""
        if len(record) > RECORD_BYTES:
            return Sent.TOO_LARGE
        if self._producer is None:
            return Sent.AWAY
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._producer.send_and_wait(self._topic, record, headers=HEADERS)
        except _TOO_LARGE:
            return Sent.TOO_LARGE
        except _REFUSED as error:
            log.error("Kafka refuses a record of %d bytes: %r", len(record), error)
            return Sent.REFUSED
        except UnknownError as error:
            # a trouble of the broker's, or a refusal that aiokafka does not know (INVALID_RECORD)
            self._unknown += 1
            if self._unknown >= MOST_UNKNOWN:
                log.error("Kafka refuses a record of %d bytes again and again: %r", len(record), error)
                return Sent.REFUSED
            self._troubled(error)
            await self.close()
            return Sent.AWAY
        except _FAILURES as error:
            self._troubled(error)
            await self.close()
            return Sent.AWAY
        except Exception as error:  # a fault of the client's is no fault of the record's
            log.exception("sending to Kafka failed")
            self._troubled(error)
            await self.close()
            return Sent.AWAY
        self._unknown = max(0, self._unknown - 1)
        if self.trouble:
            log.warning("Kafka takes calls")
            self.trouble = ""
        return Sent.TAKEN

    async def close(self) -> None:
        """Let the connection go."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _closed(producer)

    async def _connect(self) -> bool:
        kafka = self._settings.kafka
        try:
            options = client_options(kafka)
        except ConfigError as error:
            self._troubled(error)
            return False
        producer = AIOKafkaProducer(
            **options,
            acks="all",
            request_timeout_ms=int(SEND_TIMEOUT_S * 1000),
            max_request_size=2 * RECORD_BYTES,
        )
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await producer.start()
        except Exception as error:  # whatever it is, it is tried again
            await _closed(producer)
            reachable = isinstance(error, KafkaConnectionError)
            self._troubled(UnavailableError(await why(kafka, error)) if reachable else error)
            return False
        except BaseException:
            await _closed(producer)
            raise
        self._producer = producer
        return True

    def _troubled(self, error: BaseException) -> None:
        if isinstance(error, TopicAuthorizationFailedError):
            right = KafkaRight("gateway", "topic", self._topic, "Write")
            error = UnavailableError(says(self._settings.kafka, [right]))
        said = f"{type(error).__name__}: {error}"[:400] if str(error) else type(error).__name__
        if not self.trouble:
            log.warning("Kafka does not take calls (%s); they wait on disk", said)
        elif said != self.trouble:
            log.info("Kafka still does not take calls: %s", said)
        self.trouble = said


async def _closed(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(*_FAILURES):
        async with asyncio.timeout(1.0):
            await producer.stop()
            return
    # it waits to send what it holds; what it holds is ours to send again
    for close in (producer._sender.close, producer.client.close):
        with contextlib.suppress(*_FAILURES, asyncio.CancelledError):
            async with asyncio.timeout(1.0):
                await close()
