"""Closes clients in bounded time."""

from asyncio import Task, timeout, wait
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

CLOSE_WITHIN_S: Final = 5.0
CANCEL_AGAIN_S: Final = 0.1


async def end(task: Task[Any]) -> None:
    """Cancel a task of the client until it has ended.

    Such a task loses a cancellation that comes while it waits for the end of another one, which it
    has cancelled itself.
    """
    while not task.done():
        task.cancel()
        await wait((task,), timeout=CANCEL_AGAIN_S)


def ending(close: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    """Return `Fetcher.close`, which ends its tasks first.

    aiokafka's waits forever for a task that lost its cancellation, and raises that of a request, as
    if whoever closes the consumer had been cancelled.
    """

    @wraps(close)
    async def end_and_close(fetcher: Any) -> None:
        await end(fetcher._fetch_task)  # noqa: SLF001 - there is no seam
        for request in tuple(fetcher._pending_tasks):  # noqa: SLF001
            await end(request)
            _ = request.cancelled() or request.exception()  # seen
        fetcher._pending_tasks.clear()  # noqa: SLF001
        await close(fetcher)

    return end_and_close


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
