"""Makes the effects of a batch durable on Kafka: changed states and dead letters.

`publish` is the seam between deciding and storing. It returns when the records are durable; until
then nothing may be written to RocksDB and nothing committed.

Each source partition has a transactional producer of its own, and each batch is one transaction:
readers of committed records see all of it or nothing. Starting the producer of a partition
(`acquire`) aborts what another worker has not committed there and fences that worker: what it sends
later is refused, so a worker that was suspended can't write an old state over a newer one.

`DEDUP_GUARANTEE=exactly_once` adds the source offset to the transaction. `at_least_once` saves
those two round trips and leaves offsets to the consumer: after a crash events are read again and
are recognised as replayed, but dead letters may be duplicated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    IllegalOperation,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
)
from mode import Service, get_logger

from dedup.core.batch_result import Output
from dedup.kafka.admin import BrokersAwayError, TopicError
from dedup.kafka.broker_errors import brokers_away, refusal
from dedup.kafka.client import adjust_aiokafka
from dedup.kafka.closing import close_producer
from dedup.kafka.patience import GIVE_UP_AFTER_S, Patience
from dedup.kafka.topics import check_topics, missing_topics
from dedup.settings import Settings
from dedup.streaming.appending import append, append_states, portions
from dedup.streaming.output import FencedError, PublishError
from dedup.streaming.producerclient import cause_of, send_offsets_after_records
from dedup.streaming.retrying import publish_again

MAX_BATCH_BYTES: Final = 1024 * 1024
"""Size of a record batch with its header: brokers accept 12 bytes more by default."""

ATTEMPT_WITHIN_S: Final = 30.0
"""How long one transaction may take before its producer is recreated.

An idempotent producer retries for ever: it can't know whether what it sent was written.
"""

TRANSACTION_TIMEOUT_MS: Final = 60_000

START_WITHIN_S: Final = 30.0
"""How long the brokers may take to assign a producer id.

The client retries silently while they can't, as after a restart.
"""

RETRY_BACKOFF_MS: Final = 20
"""Pause before a retry; the client's own 100 ms would add to the latency of every row."""

CHECK_WITHIN_S: Final = 10.0
"""How long the check of the topics may take after they refused an output."""

ANY_REQUEST_BYTES: Final = 64 * 1024 * 1024
"""The broker decides what is too large, not the client."""
_CLIENT_ERRORS: Final = (
    KafkaError,
    IllegalOperation,
    AssertionError,
    AttributeError,
    asyncio.InvalidStateError,
)
"""What the client raises once its sender has failed."""

logger = get_logger(__name__)


class KafkaPublisher(Service):
    """A transaction per batch, by a producer per source partition."""

    def __init__(
        self,
        settings: Settings,
        *,
        is_member: Callable[[], Awaitable[bool]] | None = None,
        states_batch_bytes: int = MAX_BATCH_BYTES,
        dead_letters_batch_bytes: int = MAX_BATCH_BYTES,
        **kwargs: Any,
    ) -> None:
        """Take the settings and what the topics accept.

        `is_member`: see `Attempts.is_member`. The others are the largest record batches that the
        output topic and the dead-letter topic accept; one with a single record may be larger.
        """
        super().__init__(**kwargs)
        self._settings = settings
        self.is_member = is_member
        self._batch_bytes = self._dead_letters_batch_bytes = MAX_BATCH_BYTES
        self._limit_batches(states_batch_bytes, dead_letters_batch_bytes)
        self._producers: dict[int, AIOKafkaProducer] = {}

    @property
    def commits_offsets(self) -> bool:
        """Return whether `publish` also commits the source offset."""
        return self._settings.DEDUP_GUARANTEE == "exactly_once"

    async def on_stop(self) -> None:
        """Disconnect. A transaction that is open is aborted by the next owner or by its timeout."""
        await self.acquire(())

    async def acquire(self, partitions: Collection[int]) -> None:
        """See `Publisher.acquire`; a producer that was fenced meanwhile is recreated."""
        gone = [self._producers.pop(p) for p in set(self._producers) - set(partitions)]
        missing = sorted(set(partitions) - set(self._producers))
        await asyncio.gather(*map(close_producer, gone))
        ended = await asyncio.gather(*map(self._start, missing), return_exceptions=True)
        for error in filter(None, ended):
            if isinstance(error, KafkaError) and not brokers_away(error):
                why = refusal(error, self._settings, permission="WRITE")
                raise PublishError(f"The partitions {missing} can't be acquired: {why}") from error
            raise error

    async def _start(self, partition: int) -> None:
        settings = self._settings
        adjust_aiokafka()
        producer = AIOKafkaProducer(
            **settings.kafka_client(),
            transactional_id=f"{settings.DEDUP_APP_ID}-{settings.KAFKA_PRODUCT_TOPIC}-{partition}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            acks="all",
            max_batch_size=self._batch_bytes,
            max_request_size=ANY_REQUEST_BYTES,
        )
        send_offsets_after_records(producer)
        try:
            async with asyncio.timeout(START_WITHIN_S):
                await producer.start()
        except TimeoutError as error:
            await close_producer(producer)
            raise KafkaTimeoutError(
                f"no producer id for partition {partition} in {START_WITHIN_S:.0f} s"
            ) from error
        except BaseException:
            await close_producer(producer)
            raise
        self._producers[partition] = producer

    async def publish(self, output: Output) -> int | None:
        """See `Publisher.publish`."""
        if not (output.emissions or output.dead_letters or self.commits_offsets):
            return None
        if output.partition not in self._producers:
            raise self._fenced(output)
        patience = Patience(
            f"The output of partition {output.partition}",
            logger,
            give_up_after_s=GIVE_UP_AFTER_S,
        )
        try:
            try:
                return await self.attempt(output)
            except (KafkaError, TimeoutError) as error:
                return await publish_again(self, self._settings, output, error, patience)
        except ProducerFenced as error:
            await self._discard(output.partition)
            raise self._fenced(output) from error
        except (KafkaError, TimeoutError) as error:
            raise PublishError(
                f"The output of partition {output.partition} was not accepted by the brokers at "
                f"{self._settings.KAFKA_BOOTSTRAP_SERVERS}: {await self._why(error)} Nothing of it "
                "was committed; restart the worker to continue from there."
            ) from error

    def _fenced(self, output: Output) -> FencedError:
        return FencedError(
            f"Partition {output.partition} of {self._settings.KAFKA_PRODUCT_TOPIC} was taken over "
            "by another worker; the batch in progress is dropped here and processed there."
        )

    async def _why(self, error: BaseException) -> str:
        """Return why the output was not accepted, and what to do."""
        gone = await missing_topics(self._settings)
        if gone:
            return (
                f"{' and '.join(gone)} was deleted. Recreate it with `dedup topics create`. Its "
                "records can be rebuilt from the events only: for that, also reset the offsets "
                f"of the group {self._settings.DEDUP_APP_ID} to the earliest."
            )
        try:  # settings of the topics may have changed since the start
            async with asyncio.timeout(CHECK_WITHIN_S):
                await check_topics(self._settings)
        except (BrokersAwayError, TimeoutError):
            pass
        except TopicError as fault:
            return str(fault)
        if isinstance(error, KafkaError):
            return refusal(error, self._settings, permission="WRITE")
        return f"there was no acknowledgement for {GIVE_UP_AFTER_S:.0f} s. Check the brokers."

    async def adapt(self, error: Exception) -> bool:
        """See `Attempts.adapt`: `max.message.bytes` of a topic may be lowered under a worker."""
        if not isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
            return False
        before = self._batch_bytes, self._dead_letters_batch_bytes
        with suppress(BrokersAwayError, TimeoutError, TopicError):
            async with asyncio.timeout(CHECK_WITHIN_S):
                facts = await check_topics(self._settings)
            self._limit_batches(facts.states_batch_bytes, facts.letters_batch_bytes)
        return (self._batch_bytes, self._dead_letters_batch_bytes) != before

    def _limit_batches(self, states_bytes: int, dead_letters_bytes: int) -> None:
        self._batch_bytes = min(self._batch_bytes, states_bytes)
        self._dead_letters_batch_bytes = min(self._dead_letters_batch_bytes, dead_letters_bytes)

    async def recreate(self, partition: int) -> AIOKafkaProducer:
        """See `Attempts.recreate`."""
        await self._discard(partition)
        if self.should_stop:
            raise ProducerFenced  # an open transaction is aborted by the next owner
        await self._start(partition)
        return self._producers[partition]

    async def _discard(self, partition: int) -> None:
        producer = self._producers.pop(partition, None)
        if producer is not None:
            await close_producer(producer)

    async def attempt(self, output: Output) -> int | None:
        """See `Attempts.attempt`."""
        producer = self._producers[output.partition]
        sender = producer._sender.sender_task
        transaction = asyncio.ensure_future(self._transact(producer, output))
        try:
            # The client does not wake everybody who waits when its sender has ended.
            await asyncio.wait(
                (transaction, sender),
                timeout=min(ATTEMPT_WITHIN_S, GIVE_UP_AFTER_S),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if transaction.done():
                return transaction.result()
            raise KafkaError("The client ended.") if sender.done() else TimeoutError
        except _CLIENT_ERRORS as error:
            raise cause_of(producer, error) from None  # it is the cause of that error
        finally:
            transaction.cancel()
            await asyncio.wait((transaction,))
            _ = transaction.cancelled() or transaction.exception()  # seen

    async def _transact(self, producer: AIOKafkaProducer, output: Output) -> int | None:
        await producer.begin_transaction()
        next_offset, _ = await asyncio.gather(
            self._append(producer, output), self._add_offset(producer, output)
        )
        await producer.commit_transaction()
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
        states, dead_letters = (
            self._settings.KAFKA_SRC_PRODUCTS_TOPIC,
            self._settings.KAFKA_DLQ_TOPIC,
        )
        if output.emissions and output.partition not in await producer.partitions_for(states):
            raise UnknownTopicOrPartitionError(states)
        into = 0
        if output.dead_letters:  # their topic may have fewer partitions than the source, or more
            into = output.partition % len(await producer.partitions_for(dead_letters))
        next_offset, _ = await asyncio.gather(
            append_states(producer, TopicPartition(states, output.partition), output),
            append(
                producer,
                TopicPartition(dead_letters, into),
                portions(output.dead_letters, self._dead_letters_batch_bytes),
                output.timestamp_ms,
            ),
        )
        return next_offset
