"""Re-submits dead letters to `products`, and marks them as re-submitted in the same transaction.

A mark is a record on the dead-letter topic (see `record.replayed_headers`). Event and mark are
committed together: a replay that is killed has written both, or neither. All replays use the same
transactional id: a new replay fences the one before it, and reads the marks only then, so no dead
letter is re-submitted by two replays.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, ProducerFenced

from dedup.core.dead_letter import AnyHeader, LetterRecord
from dedup.dlq.record import DeadLetterRecord, replayed_headers
from dedup.dlq.topic import replay_id
from dedup.kafka.broker_errors import refusal
from dedup.kafka.client import adjust_aiokafka
from dedup.kafka.closing import close_producer
from dedup.kafka.header_keys import create_batch, has_raw_key
from dedup.kafka.topic_reader import ReadError
from dedup.settings import Settings

ACKNOWLEDGE_WITHIN_S: Final = 30.0
ABORT_WITHIN_S: Final = 5.0

_TRANSACTION_TIMEOUT_MS: Final = 40_000
"""How long the open transaction of a killed replay may hold back readers of committed records."""

_ANY_REQUEST_BYTES: Final = 64 * 1024 * 1024  # the broker decides what is too large
_MOST_AT_ONCE: Final = 500
_MOST_BYTES_AT_ONCE: Final = 8 * 1024 * 1024


@dataclass(frozen=True)
class Resubmission:
    """An event for `products`, and its dead letter."""

    dead_letter: DeadLetterRecord
    key: bytes | None
    value: bytes | None
    headers: Sequence[AnyHeader]
    partition: int


class Replayer:
    """Sends events and marks. `open_replayer` creates one."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer
        self._sent = 0

    async def send(self, events: AsyncIterable[Resubmission]) -> int:
        """Append events to `products`; return how many once all are durable and marked.

        Raises ReadError; its text says how many were re-submitted before.
        """
        portion: list[Resubmission] = []
        size = 0
        async for event in events:
            portion.append(event)
            size += len(event.value or b"")
            if len(portion) >= _MOST_AT_ONCE or size >= _MOST_BYTES_AT_ONCE:
                await self._commit(portion)
                portion, size = [], 0
        await self._commit(portion)
        return self._sent

    async def _commit(self, portion: Sequence[Resubmission]) -> None:
        if not portion:
            return
        try:
            async with asyncio.timeout(ACKNOWLEDGE_WITHIN_S), _transaction(self._producer):
                await asyncio.gather(*[await self._append(event) for event in portion])
                await asyncio.gather(*[await self._mark(event.dead_letter) for event in portion])
        except ProducerFenced as error:
            why = "another `dedup dlq replay` has begun and fenced this one."
            raise self._failed(why) from error
        except KafkaError as error:
            raise self._failed(refusal(error, self._settings, permission="WRITE")) from error
        except TimeoutError as error:
            why = f"the brokers acknowledged nothing for {ACKNOWLEDGE_WITHIN_S:.0f} s."
            raise self._failed(why) from error
        self._sent += len(portion)

    async def _append(self, event: Resubmission) -> Any:
        topic = self._settings.KAFKA_PRODUCT_TOPIC
        return await _append(
            self._producer, topic, event.partition, event.key, event.value, event.headers
        )

    async def _mark(self, letter: DeadLetterRecord) -> Any:
        topic = self._settings.KAFKA_DLQ_TOPIC
        marks = replayed_headers(letter)
        return await _append(self._producer, topic, letter.partition, None, None, marks)

    def _failed(self, why: str) -> ReadError:
        return ReadError(
            f"The events could not be re-submitted: {why} {self._sent} were re-submitted before, "
            "and are marked so; replay the others again."
        )


@asynccontextmanager
async def open_replayer(settings: Settings) -> AsyncIterator[Replayer]:
    """Start a replay; the open transaction of another replay is aborted. Raises KafkaError.

    After a block without error, readers of committed records see what it sent.
    """
    async with _started(settings) as producer:
        yield Replayer(settings, producer)
    async with _started(settings):  # starting waits until the brokers have written the last commit
        pass


@asynccontextmanager
async def _started(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    adjust_aiokafka()
    producer = AIOKafkaProducer(
        **settings.kafka_client(),
        transactional_id=replay_id(settings),
        transaction_timeout_ms=_TRANSACTION_TIMEOUT_MS,
        acks="all",
        compression_type="gzip",  # the event may fit its topic's limit only when compressed
        max_request_size=_ANY_REQUEST_BYTES,
    )
    try:
        try:
            async with asyncio.timeout(ACKNOWLEDGE_WITHIN_S):
                await producer.start()
        except TimeoutError as error:
            raise KafkaTimeoutError(f"no producer id in {ACKNOWLEDGE_WITHIN_S:.0f} s") from error
        yield producer
    finally:
        await close_producer(producer)


@asynccontextmanager
async def _transaction(producer: AIOKafkaProducer) -> AsyncIterator[None]:
    """Commit what the block sends; if it fails, abort, in bounded time."""
    await producer.begin_transaction()
    try:
        yield
        await producer.commit_transaction()
    except ProducerFenced:  # the replay that fenced this one has aborted it
        raise
    except BaseException:
        with suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(ABORT_WITHIN_S):
                await producer.abort_transaction()
        raise


async def _append(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[AnyHeader],
) -> Any:
    """Append a record; return the future of its acknowledgement."""
    if (key is None and value is None) or has_raw_key(headers):  # send() refuses both
        batch = create_batch(producer, [LetterRecord(key, value, headers)])
        batch.append(timestamp=None, key=key, value=value, headers=headers)
        return await producer.send_batch(batch, topic, partition=partition)
    return await producer.send(topic, value, key=key, partition=partition, headers=headers)
