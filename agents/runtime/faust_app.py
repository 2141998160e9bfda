"""The Faust runner: one Faust agent whose events reach a plain handler, none of them lost.

Faust acknowledges and skips an event when an agent's body raises, `take()` loses its batch, and more than
one actor commits past unfinished events. So the body here only hands records on; processors, one per source
partition, work on them in batches and acknowledge in order what has become durable.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import faust
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError
from faust.types import TP
from mode.utils.logging import get_logger

from jitr.agents.runtime.consumer import Consumer
from jitr.agents.runtime.decode import KafkaRecord
from jitr.agents.runtime.handler import Handler, SourcePartition
from jitr.agents.runtime.metrics import Metrics
from jitr.agents.runtime.partition import PartitionProcessor, ProcessorSettings
from jitr.models.redaction.redaction import Redaction
from jitr.router.servers.kafka import credentials
from jitr.router.supervisor import Loops
from jitr.schemas import fetching
from jitr.schemas.errors import UnavailableError
from jitr.schemas.servers import KafkaSettings
from jitr.schemas.settings import Settings
from jitr.schemas.signing import Signing
from jitr.schemas.times import END
from jitr.schemas.topics import Topic

T = TypeVar("T")
log = get_logger(__name__)

MOST_QUEUED = 2_000
MOST_BYTES = 64_000_000


@dataclass(frozen=True)
class Agent(Generic[T]):
    """What makes an agent: a name, its sources, and a handler for each partition of them.

    ``linger_s`` is how long the producer waits to fill a request, ``finish_s`` how long a batch in hand may
    take at the end, ``beside`` what runs as long as the agent does; the rest is as in `ProcessorSettings`.
    """

    name: str
    sources: tuple[Topic, ...]
    make: Callable[[SourcePartition], Handler[T]]
    batch: int = 1000
    batch_s: float = 0.02
    idle_s: float = 1.0
    snapshot_s: float = 0.0
    linger_s: float = 0.005
    finish_s: float = 8.0
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None


class FaustRunner(Generic[T]):
    """One agent as a Faust app with a consumer group of its own.

    Parameters
    ----------
    agent : Agent
    settings : Settings
    metrics : Metrics
    """

    def __init__(self, agent: Agent[T], settings: Settings, metrics: Metrics) -> None:
        self.agent = agent
        self.group = f"{settings.kafka.prefix}jitr-{agent.name}"
        self.assigned = asyncio.Event()
        self.places: frozenset[TP] = frozenset()
        self.processors: dict[TP, PartitionProcessor[T]] = {}
        self._tasks: dict[TP, asyncio.Task[None]] = {}
        self.loops = Loops()
        self._settings = settings
        self._signing = Signing(settings)
        self._metrics = metrics
        self._redaction = Redaction(settings)
        self._finished = False
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.app = self._build()

    def _build(self) -> Any:
        fetching.install()
        kafka = self._settings.kafka
        session_s = kafka.session_timeout_s
        app = faust.App(
            self.group,
            broker=[f"kafka://{server}" for server in kafka.bootstrap.split(",")],
            broker_credentials=_credentials(kafka),
            autodiscover=False,
            # Faust makes this folder, and nothing in it is ours
            datadir=tempfile.gettempdir(),
            store="memory://",
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=session_s,
            broker_heartbeat_interval=max(0.5, session_s / 4),
            broker_rebalance_timeout=max(session_s, 15.0),
            broker_request_timeout=max(session_s, 15.0) + 20.0,
            broker_commit_interval=1.0,
            producer_linger=self.agent.linger_s,
            producer_max_request_size=4_000_000,
            stream_buffer_maxsize=256,
            # what was not acknowledged comes again; waiting for it would hold up every rebalance
            stream_wait_empty=False,
        )
        app.transport.Consumer = Consumer
        topic = app.topic(
            *(source.name for source in self.agent.sources),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,
        )
        app.agent(topic, name=self.agent.name)(self._body)
        # mode keeps a weak reference to a bound method; these live as long as we do
        app.on_partitions_assigned.connect(self._on_assigned)
        app.on_partitions_revoked.connect(self._on_revoked)
        return app

    async def _body(self, stream: Any) -> None:
        events: AsyncIterator[Any] = stream.noack().events()
        async for event in events:
            message = event.message
            # one that Faust held while its partition was taken from us comes again, to whom it belongs then
            if not self._finished and message.tp in self.places:
                self._processor(message.tp).put(_source(message, event.ack, self._redaction))
                # Faust's own buffer is small: waiting here makes it stop fetching
                while self._is_full():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    def _is_full(self) -> bool:
        processors = self.processors.values()
        return (
            sum(x.queued for x in processors) > MOST_QUEUED
            or sum(x.queued_bytes for x in processors) > MOST_BYTES
        )

    def _processor(self, tp: TP) -> PartitionProcessor[T]:
        processor = self.processors.get(tp)
        if processor is None:
            agent = self.agent
            processor = self.processors[tp] = PartitionProcessor(
                SourcePartition(
                    tp.topic, tp.partition, lambda: self._end_offset(tp), lambda: self._ask_end(tp)
                ),
                agent.make,
                self.send,
                ProcessorSettings(
                    agent=agent.name,
                    dead_letters=self._settings.topics.dead_letters.name,
                    state_url=f"{self._settings.state.root.rstrip('/')}/agents/{self.group}",
                    batch=agent.batch,
                    linger_s=agent.batch_s,
                    idle_s=agent.idle_s,
                    snapshot_s=agent.snapshot_s,
                    signing=self._signing,
                ),
                self._metrics,
            )
            self._tasks[tp] = self._watched(processor.run(), f"{self.group}/{tp.topic}/{tp.partition}")
        return processor

    def _watched(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._on_done)
        return task

    def _end_offset(self, tp: TP) -> int | None:
        try:
            end = self.app.consumer.highwater(tp)
        except Exception:
            return None
        return int(end) if end is not None else None

    async def _ask_end(self, tp: TP) -> int | None:
        try:
            ends = await self.app.consumer.highwaters(tp)
        except KafkaError as error:
            raise UnavailableError(f"Kafka does not say where {tp.topic} ends: {error!r}") from error
        end = ends.get(tp)
        return int(end) if end is not None else None

    async def send(
        self, topic: str, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]
    ) -> Awaitable[object]:
        """Hand a record to the producer; the future is Kafka's acknowledgement."""
        try:
            future: Awaitable[object] = await self.app.producer.send(topic, key, value, None, None, headers)
            return future
        except ProducerSendError as error:
            # Faust wraps it
            raise (error.__cause__ or UnavailableError(str(error))) from error

    def _on_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failure.done():
            log.error("%s failed", task.get_name(), exc_info=error)
            self.failure.set_exception(error)

    async def _on_assigned(self, app: Any, assigned: set[TP], **_: Any) -> None:
        self.places = frozenset(assigned)
        if not self._finished:
            # also where no event comes: whoever had it before may have left something untold
            for tp in self.places:
                self._processor(tp)
        self.assigned.set()

    async def _on_revoked(self, app: Any, revoked: set[TP], **_: Any) -> None:
        gone = {TP(*tp) for tp in revoked}
        self.places -= gone
        await self._end(gone, ack=False)

    async def _end(self, places: set[TP], *, ack: bool) -> None:
        """Let processors end after the batch in hand; one that takes too long is cut off, which is safe."""
        tasks = []
        for tp in places & set(self.processors):
            self.processors.pop(tp).finish(ack=ack)
            tasks.append(self._tasks.pop(tp))
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self.agent.finish_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def moving(self) -> frozenset[TP]:
        """The partitions that are ours, without those that wait for the disk."""
        return frozenset(tp for tp in self.places if not self._waits_for(tp).startswith("disk"))

    def waits(self) -> list[str]:
        """What our partitions wait for, each with the reason."""
        waits = [(tp, self._waits_for(tp)) for tp in sorted(self.places)]
        return [f"{self.agent.name} {tp.topic}/{tp.partition} waits for {what}" for tp, what in waits if what]

    def _waits_for(self, tp: TP) -> str:
        return self.processors[tp].waits_for if tp in self.processors else ""

    async def start(self) -> None:
        """Join the group."""
        await self.app.start()
        if self.agent.beside is not None:
            self.loops.run(self.agent.name, self.agent.beside)

    async def crashed(self) -> None:
        """Wait until Faust gives up, and raise what it gave up for."""
        while self.app.crash_reason is None:  # noqa: ASYNC110  # mode has no event for it
            await asyncio.sleep(0.5)
        raise UnavailableError(f"{self.group}: Faust gave up: {self.app.crash_reason!r}")

    async def stop(self) -> None:
        """Finish what is in hand, commit it, leave the group."""
        self._finished = True
        await self.loops.stop(self.agent.name)
        await self._end(set(self.processors), ack=True)
        await self.app.stop()
        if not self.failure.done():
            self.failure.cancel()
        elif not self.failure.cancelled():
            self.failure.exception()  # it was logged


def _credentials(kafka: KafkaSettings) -> faust.auth.Credentials | None:
    """What `client_options` gives aiokafka, in Faust's words."""
    options = credentials(kafka)
    context = options.get("ssl_context")
    if "sasl_oauth_token_provider" in options:
        return faust.auth.OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=context)
    if kafka.sasl:
        return faust.SASLCredentials(
            username=kafka.username,
            password=kafka.password,
            mechanism=kafka.mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if kafka.tls else None


def _source(message: Any, ack: Callable[[], object], redaction: Redaction) -> KafkaRecord:
    headers = message.headers or ()
    if isinstance(headers, dict):
        headers = headers.items()
    return KafkaRecord(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=_time(message.timestamp),
        key=message.key,
        value=message.value,
        headers=tuple((str(k), bytes(v) if v is not None else b"") for k, v in headers),
        ack=ack,
        redaction=redaction,
    )


def _time(timestamp: float | None) -> float:
    """When a record was written, by its producer's or the broker's clock; now where neither says it."""
    return timestamp if timestamp is not None and 1.0 <= timestamp < END else time.time()
