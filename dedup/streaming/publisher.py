"""Makes the effects of a batch durable on Kafka: changed states and dead letters.

`publish` is the seam between deciding and remembering. It returns when the records are durable;
until then nothing may be written to RocksDB and nothing committed.

Each source partition has a transactional producer of its own, and each batch is one transaction:
readers of committed records see all of it or nothing. Starting the producer of a partition (`own`)
ends what another worker had begun there and fences that worker off: what it sends later is refused,
so a suspended worker that wakes up can't put an old state over a newer one.

`DEDUP_GUARANTEE=exactly_once` puts the source offset into the transaction too. `at_least_once`
saves those two round trips and leaves offsets to the consumer: after a crash events come again
and are recognised as replayed, but dead letters may stand twice.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError, ProducerFenced
from aiokafka.producer import sender as producer_sender
from mode import Service

from dedup.refusals import brokers_away, refusal
from dedup.settings import Settings
from dedup.topics import missing_topics

MAX_BATCH_BYTES: Final = 900 * 1024
"""Size of a record batch: below the 1 MiB that brokers accept by default."""

GIVE_UP_AFTER_S: Final = 120.0
"""How long the brokers may acknowledge nothing before the worker gives up.

An idempotent producer never does: it can't know whether what it sent was written.
"""

TRANSACTION_TIMEOUT_MS: Final = 60_000

START_WITHIN_S: Final = 30.0
"""How long the brokers may take to give a partition's producer its id.

The client asks again and again without a word while they have none to give, as after a restart.
"""

RETRY_BACKOFF_MS: Final = 20
"""How long a refused request waits; the client's own 100 ms would show in every row's latency."""

producer_sender.BACKOFF_OVERRIDE = 0.005
"""How long the next transaction waits, in seconds, where the client would wait 20 ms.

Brokers refuse it until the markers of the one before are written (KAFKA-5477), some milliseconds.
"""

CLOSE_WITHIN_S: Final = 5.0

ANY_REQUEST_BYTES: Final = 64 * 1024 * 1024
"""The broker decides what is too large, not the client."""


class OutputRecord(msgspec.Struct, frozen=True, gc=False):
    """A record for `src_products` or for the dead letters, in bytes."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass
class Output:
    """What a batch of one source partition puts on Kafka.

    `states` go to the same partition of `src_products`, in order. `source_offset` is the offset
    after the batch.
    """

    partition: int
    source_offset: int
    timestamp_ms: int
    states: list[OutputRecord] = field(default_factory=list)
    dead_letters: list[OutputRecord] = field(default_factory=list)


class PublishError(Exception):
    """The output can't be made durable; the text says why and what to do."""


class FencedError(PublishError):
    """Another worker owns the partition now; nothing of the output counts."""


class Publisher(Protocol):
    """Whatever makes an output durable."""

    async def own(self, partitions: Collection[int]) -> None:
        """Take over these source partitions and let go of all others.

        Returns when nothing that another worker sends for them can become durable any more, as far
        as this publisher promises that. Raises KafkaError when the brokers are away: call it again
        then. Raises PublishError when they refuse.
        """

    async def publish(self, output: Output) -> int | None:
        """Return once the output is durable.

        Gives the offset on `src_products` after the last state, None when there was none. Raises
        PublishError when the output can't be made durable.
        """


class KafkaPublisher(Service):
    """A transaction per batch, by a producer per source partition."""

    batch_bytes: int = MAX_BATCH_BYTES
    """Size of a record batch; one that holds a single record may be larger."""

    def __init__(self, settings: Settings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._producers: dict[int, AIOKafkaProducer] = {}

    @property
    def commits_offsets(self) -> bool:
        """Whether `publish` also commits the source offset."""
        return self._settings.DEDUP_GUARANTEE == "exactly_once"

    async def on_stop(self) -> None:
        """Disconnect. A transaction that is open is aborted by the next owner or by its timeout."""
        await self.own(())

    async def own(self, partitions: Collection[int]) -> None:
        """See `Publisher.own`; a producer that was fenced meanwhile is made anew."""
        gone = [self._producers.pop(p) for p in set(self._producers) - set(partitions)]
        missing = sorted(set(partitions) - set(self._producers))
        await asyncio.gather(*map(_close, gone))
        ended = await asyncio.gather(*map(self._start, missing), return_exceptions=True)
        for error in filter(None, ended):
            if isinstance(error, KafkaError) and not brokers_away(error):
                why = refusal(error, self._settings, right="WRITE")
                raise PublishError(
                    f"The partitions {missing} can't be taken over: {why}"
                ) from error
            raise error

    async def _start(self, partition: int) -> None:
        settings = self._settings
        producer = AIOKafkaProducer(
            **settings.kafka_client(),
            transactional_id=f"{settings.DEDUP_APP_ID}-{settings.KAFKA_PRODUCT_TOPIC}-{partition}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            acks="all",
            max_batch_size=self.batch_bytes,
            max_request_size=ANY_REQUEST_BYTES,
        )
        _offsets_after_records(producer)
        try:
            async with asyncio.timeout(START_WITHIN_S):
                await producer.start()
        except TimeoutError as error:
            await _close(producer)
            raise KafkaTimeoutError(
                f"no producer id for partition {partition} in {START_WITHIN_S:.0f} s"
            ) from error
        except BaseException:
            await _close(producer)
            raise
        self._producers[partition] = producer

    async def publish(self, output: Output) -> int | None:
        """See `Publisher.publish`."""
        try:
            async with asyncio.timeout(GIVE_UP_AFTER_S):
                return await self._publish(output)
        except ProducerFenced as error:
            raise FencedError(
                f"Partition {output.partition} of {self._settings.KAFKA_PRODUCT_TOPIC} was taken "
                "over by another worker; the batch in work is dropped here and done there."
            ) from error
        except (KafkaError, TimeoutError) as error:
            raise PublishError(
                f"The output of partition {output.partition} was not accepted by the brokers at "
                f"{self._settings.KAFKA_BOOTSTRAP_SERVERS}: {await self._why(error)} Nothing of it "
                "was committed; the worker goes on from there when it is started again."
            ) from error

    async def _why(self, error: BaseException) -> str:
        """Say in a sentence what kept the output from being accepted, and what to do."""
        if isinstance(error, KafkaError):
            return refusal(error, self._settings, right="WRITE")
        gone = await missing_topics(self._settings)
        if gone:
            return (
                f"{' and '.join(gone)} was deleted. Make it anew with `dedup topics create`. What "
                "stood on it comes back only from the events: to have it back, also reset the "
                f"offsets of the group {self._settings.DEDUP_APP_ID} to the earliest."
            )
        return f"there was no acknowledgement for {GIVE_UP_AFTER_S:.0f} s. Look after the brokers."

    async def _publish(self, output: Output) -> int | None:
        if not (output.states or output.dead_letters or self.commits_offsets):
            return None
        producer = self._producers.get(output.partition)
        if producer is None:
            raise ProducerFenced
        try:
            await producer.begin_transaction()
            next_offset, _ = await asyncio.gather(
                self._append(producer, output), self._add_offset(producer, output)
            )
            await producer.commit_transaction()
        except ProducerFenced:
            if self._producers.get(output.partition) is producer:
                del self._producers[output.partition]
            await _close(producer)
            raise
        except KafkaError as error:
            raise _cause(producer, error) from error
        return next_offset

    async def _add_offset(self, producer: AIOKafkaProducer, output: Output) -> None:
        """Make the source offset part of the transaction, if offsets travel in it."""
        if self.commits_offsets:
            source = TopicPartition(self._settings.KAFKA_PRODUCT_TOPIC, output.partition)
            await producer.send_offsets_to_transaction(
                {source: output.source_offset}, self._settings.DEDUP_APP_ID
            )

    async def _append(self, producer: AIOKafkaProducer, output: Output) -> int | None:
        """Append states and dead letters; wait for the acknowledgement."""
        states = (self._settings.KAFKA_SRC_PRODUCTS_TOPIC, output.states)
        dead_letters = (self._settings.KAFKA_DLQ_TOPIC, output.dead_letters)
        next_offset, _ = await asyncio.gather(
            *(
                _append(producer, topic, output.partition, records, output.timestamp_ms)
                for topic, records in (states, dead_letters)
            )
        )
        return next_offset


async def _append(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    records: Sequence[OutputRecord],
    timestamp_ms: int,
) -> int | None:
    """Append records to a partition, in as few record batches as their size allows."""
    if not records:
        return None
    batches = []
    batch = producer.create_batch()
    for record in records:
        while (
            batch.append(
                timestamp=timestamp_ms, key=record.key, value=record.value, headers=record.headers
            )
            is None
        ):  # it is full; an empty one takes any record
            batches.append(batch)
            batch = producer.create_batch()
    batches.append(batch)
    deliveries = []
    for batch in batches:
        batch.close()
        deliveries.append(await producer.send_batch(batch, topic, partition=partition))
    acknowledged = await asyncio.gather(*deliveries)
    offset = int(acknowledged[-1].offset)
    # A retry that the broker knows already is acknowledged without its offset.
    return None if offset < 0 else offset + batches[-1].record_count()


def _offsets_after_records(producer: AIOKafkaProducer) -> None:
    """Let a transaction's offsets be committed when its records are acknowledged, not meanwhile.

    Brokers verify both with the transaction's coordinator, which keeps one such question of a
    transaction: the other one is refused (as NotEnoughReplicas or CoordinatorNotAvailable), logged
    and sent again after a pause.
    """
    sender = producer._sender
    next_request = sender._maybe_do_transactional_request

    def one_at_a_time() -> Any:
        transaction, unsent = sender._txn_manager, sender._message_accumulator._batches
        adding = transaction.partitions_to_add() or transaction.consumer_group_to_add()
        if not adding and transaction.offsets_to_commit() and (sender._in_flight or unsent):
            return None  # the sender asks again when a produce request has ended
        return next_request()

    sender._maybe_do_transactional_request = one_at_a_time


def _cause(producer: AIOKafkaProducer, error: KafkaError) -> KafkaError:
    """Give what ended the transaction; what its parts raise is often but a consequence."""
    ended = producer._txn_manager.wait_for_transaction_end()
    cause = ended.exception() if ended.done() and not ended.cancelled() else None
    return cause if isinstance(cause, KafkaError) else error


async def _close(producer: AIOKafkaProducer) -> None:
    """Close a producer in bounded time, whether its batches can still be delivered or not."""
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await producer.stop()
    except (TimeoutError, KafkaError):
        # stop() waits for every batch, and an idempotent producer retries them for ever.
        sender = producer._sender.sender_task
        if sender is not None:
            sender.cancel()
        await producer.client.close()
