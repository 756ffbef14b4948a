"""Re-submits dead letters to `products`: the same bytes, where events of that key belong."""

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from dedup.headerkeys import create_batch, has_raw_key
from dedup.letter import Letter
from dedup.partitioning import partition_of_key
from dedup.reading import ReadError, partition_count
from dedup.settings import Settings

ACKNOWLEDGE_WITHIN_S: Final = 60.0
CLOSE_WITHIN_S: Final = 5.0

_ANY_REQUEST_BYTES: Final = 64 * 1024 * 1024  # the broker decides what is too large
_MOST_AT_ONCE: Final = 500
_MOST_BYTES_AT_ONCE: Final = 8 * 1024 * 1024


def partition_of(letter: Letter, partitions: int) -> int:
    """Give the partition it is re-submitted to.

    That is the one Kafka's clients put its key in; without a key the one it came from.
    """
    if letter.key is None:
        return (letter.source_partition or 0) % partitions
    return partition_of_key(letter.key, partitions)


async def resubmit(settings: Settings, letters: AsyncIterable[Letter]) -> int:
    """Append letters to `products` as the events they were; give how many once all are durable.

    Raises ReadError; the sentence says how many were re-submitted before.
    """
    topic = settings.KAFKA_PRODUCT_TOPIC
    partitions = await partition_count(settings, topic, "KAFKA_PRODUCT_TOPIC")
    producer = AIOKafkaProducer(
        **settings.kafka_client(),
        acks="all",
        enable_idempotence=True,
        max_request_size=_ANY_REQUEST_BYTES,
    )
    await producer.start()
    try:
        return await _send_all(producer, topic, letters, partitions)
    finally:
        # stop() waits for every batch, and an idempotent producer retries them for ever.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await producer.stop()


async def _send_all(
    producer: AIOKafkaProducer, topic: str, letters: AsyncIterable[Letter], partitions: int
) -> int:
    sent = size = 0
    pending: list[Any] = []
    async for letter in letters:
        pending.append(await _send(producer, topic, letter, partition_of(letter, partitions)))
        size += len(letter.value or b"")
        if len(pending) >= _MOST_AT_ONCE or size >= _MOST_BYTES_AT_ONCE:
            sent += await _acknowledged(pending, topic, sent)
            pending, size = [], 0
    return sent + await _acknowledged(pending, topic, sent)


async def _send(producer: AIOKafkaProducer, topic: str, letter: Letter, partition: int) -> Any:
    """Append one; give the future of its acknowledgement."""
    headers = letter.original_headers
    no_bytes = letter.key is None and letter.value is None
    if no_bytes or has_raw_key(headers):  # send() refuses both
        batch = create_batch(producer, [letter])
        batch.append(timestamp=None, key=letter.key, value=letter.value, headers=headers)
        return await producer.send_batch(batch, topic, partition=partition)
    return await producer.send(
        topic, letter.value, key=letter.key, partition=partition, headers=headers
    )


async def _acknowledged(pending: list[Any], topic: str, before: int) -> int:
    """Wait until all are durable; give how many these are."""
    try:
        async with asyncio.timeout(ACKNOWLEDGE_WITHIN_S):
            results = await asyncio.gather(*pending, return_exceptions=True)
    except TimeoutError:
        results = [TimeoutError("no acknowledgement")] * len(pending)
    failed = [error for error in results if isinstance(error, BaseException)]
    if failed:
        done = before + len(results) - len(failed)
        raise ReadError(
            f"{topic} did not accept {len(failed)} events ({failed[0]!r}); {done} were "
            "re-submitted. Those may be replayed once more without harm."
        )
    return len(results)
