"""Closes a producer in bounded time."""

from asyncio import timeout, wait
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

CLOSE_WITHIN_S: Final = 5.0


async def close_producer(producer: AIOKafkaProducer, within_s: float | None = None) -> None:
    """Close a producer in bounded time, whether its batches can still be delivered or not.

    `stop()` waits for every batch, and an idempotent producer retries them for ever. Without a
    limit of its own, `CLOSE_WITHIN_S` holds.
    """
    within_s = CLOSE_WITHIN_S if within_s is None else within_s
    sender = producer._sender.sender_task  # noqa: SLF001 - there is no public way to give up
    try:
        async with timeout(within_s):
            await producer.stop()
    except (TimeoutError, KafkaError):
        if sender is not None:
            sender.cancel()
            await wait((sender,), timeout=within_s)
        await producer.client.close()
    if sender is not None and sender.done() and not sender.cancelled():
        sender.exception()  # retrieved: asyncio would log it, and what failed has been reported
