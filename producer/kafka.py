"""Sends generated events to Kafka: whole record batches, idempotent, acknowledged by all replicas.

*Guarantees.* Events of one key are written in the order they were given, each exactly once as long
as the process lives: a key always has the same partition (by murmur2, as of Kafka's own clients, or
by CRC32, as of librdkafka's), and the batches of a partition are sent in order. What was
counted as sent is acknowledged by all in-sync replicas. A broker that is away for less than
`ACKNOWLEDGE_WITHIN_S` only delays them.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import lru_cache
from random import Random
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self
from zlib import crc32

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.partitioner import DefaultPartitioner

from dedup.kafka.broker_errors import refusal
from dedup.kafka.closing import close_producer
from producer.connect import (
    ACKNOWLEDGE_WITHIN_S,
    CLOSE_WITHIN_S,
    ProducerError,
    open_producer,
)
from producer.settings import ProducerSettings

Partitioner = Literal["murmur2", "crc32"]


class Event(Protocol):
    """A record to send."""

    @property
    def key(self) -> bytes | None:
        """The key; None has a partition chosen at random."""

    @property
    def value(self) -> bytes | None:
        """The value."""


_CACHED_KEYS: Final = 100_000
"""Keys whose partition is remembered: murmur2 in plain Python costs more than the append."""


async def produce(
    events: Iterable[Event],
    settings: ProducerSettings,
    on_sent: Callable[[int], None] | None = None,
    *,
    partitioner: Partitioner = "murmur2",
) -> int:
    """Send all events as fast as possible; return how many the brokers acknowledged.

    The topic is created if it is missing. `on_sent` is called with the running total whenever more
    was acknowledged. Raises ProducerError; part of the events may have been written by then.
    """
    async with EventSender(settings, on_sent, partitioner=partitioner) as sender:
        for event in events:
            await sender.add(event)
        await sender.flush()
        return sender.sent


class EventSender:
    """An open connection to the topic; an asynchronous context manager.

    `sent` is the number of acknowledged events. Leaving the context does not flush: after an error
    that might never end.
    """

    def __init__(
        self,
        settings: ProducerSettings,
        on_sent: Callable[[int], None] | None = None,
        *,
        partitioner: Partitioner = "murmur2",
    ) -> None:
        self.sent = 0
        self._partitioner = partitioner
        self._settings = settings
        self._on_sent = on_sent
        self._reported = 0
        self._batches: dict[int, Any] = {}
        self._unacknowledged: set[asyncio.Future[Any]] = set()
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        self._producer = await open_producer(self._settings)
        topic = self._settings.KAFKA_PRODUCT_TOPIC
        partitions = sorted(await self._producer.partitions_for(topic))
        murmur2, by_crc32 = DefaultPartitioner(), self._partitioner == "crc32"
        random = Random(0)  # noqa: S311 - spreads keyless records, the same way every time

        @lru_cache(_CACHED_KEYS)
        def of_key(key: bytes) -> int:
            if by_crc32:
                return int(partitions[crc32(key) % len(partitions)])
            return int(murmur2(key, partitions, partitions))

        def of_record(key: bytes | None) -> int:
            return random.choice(partitions) if key is None else of_key(key)

        self._partition_of = of_record
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await close_producer(self._producer, CLOSE_WITHIN_S)

    async def add(self, event: Event) -> None:
        """Put an event into its partition's batch; sends that batch first when it is full."""
        partition = self._partition_of(event.key)
        batch = self._batches.get(partition)
        if batch is None:
            batch = self._batches[partition] = self._producer.create_batch()
        if batch.append(timestamp=None, key=event.key, value=event.value) is None:
            await self._submit(partition)
            batch = self._batches[partition] = self._producer.create_batch()
            batch.append(timestamp=None, key=event.key, value=event.value)

    async def flush(self) -> None:
        """Send what is batched and wait until everything is acknowledged. Raises ProducerError."""
        for partition in list(self._batches):
            await self._submit(partition)
        while self._unacknowledged:
            done, _ = await asyncio.wait(
                self._unacknowledged,
                timeout=ACKNOWLEDGE_WITHIN_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not done:
                raise self._gone()
            await asyncio.sleep(0)  # lets the callbacks of what is done run
            self._report()
        self._report()

    async def _submit(self, partition: int) -> None:
        """Hand a batch to the producer, once no earlier one of its partition is queued."""
        batch = self._batches.pop(partition)
        count = batch.record_count()
        try:
            delivery = await self._producer.send_batch(
                batch, self._settings.KAFKA_PRODUCT_TOPIC, partition=partition
            )
        except KafkaError as error:
            raise self._gone() from error
        self._unacknowledged.add(delivery)
        delivery.add_done_callback(lambda done: self._acknowledged(done, count))
        await asyncio.sleep(0)  # lets the producer begin to send
        self._report()

    def _acknowledged(self, delivery: asyncio.Future[Any], count: int) -> None:
        self._unacknowledged.discard(delivery)
        if delivery.cancelled():
            return
        failure = delivery.exception()
        if failure is None:
            self.sent += count
        else:
            self._failure = self._failure or failure

    def _report(self) -> None:
        if self._failure is not None:
            raise self._refused(self._failure) from self._failure
        if self._on_sent is not None and self.sent > self._reported:
            self._reported = self.sent
            self._on_sent(self.sent)

    def _refused(self, failure: BaseException) -> ProducerError:
        topic = self._settings.KAFKA_PRODUCT_TOPIC
        if isinstance(failure, TopicAuthorizationFailedError | ClusterAuthorizationFailedError):
            why = refusal(failure, self._settings, permission="WRITE")
        else:
            why = f"{failure!r}. Check the configuration of the topic."
        return ProducerError(f"Kafka refused events for KAFKA_PRODUCT_TOPIC={topic}: {why}")

    def _gone(self) -> ProducerError:
        return ProducerError(
            f"Kafka at {self._settings.KAFKA_BOOTSTRAP_SERVERS} has acknowledged nothing for "
            f"{ACKNOWLEDGE_WITHIN_S:.0f} s. Check that it runs, then start the "
            "producer again."
        )
