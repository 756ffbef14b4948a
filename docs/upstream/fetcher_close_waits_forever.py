"""aiokafka: a consumer that is stopped just after its assignment changed never stops.

`Fetcher.close` cancels `_fetch_requests_routine` once and awaits it. After a change of the
assignment the routine cancels its own requests and awaits each of them in
`suppress(CancelledError)`: a cancellation that comes in that moment is lost, and the routine goes
on for ever. So does `close`.

Exits with 0 while aiokafka has the fault, with 1 when it has not. Needs no broker.
"""

import asyncio
import sys
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.protocol.metadata import MetadataResponse_v0

PATIENCE_S: Final = 2.0
BROKERS: Final = [(1, "127.0.0.1", 9092)]


class Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka ships no types
    """A client of a broker that holds every fetch."""

    async def send(self, *_: Any, **__: Any) -> Any:
        await asyncio.Future()


async def closes(turns: int) -> bool:
    """Return whether a fetcher closes some turns of the loop after its assignment changed."""
    client, subscriptions = Client(), SubscriptionState()
    topics = [(0, name, [(0, 0, 1, [1], [1])]) for name in ("orders", "payments")]
    client.cluster.update_metadata(MetadataResponse_v0(BROKERS, topics))
    fetcher = Fetcher(client, subscriptions)
    for topic in ("orders", "payments"):
        tp = TopicPartition(topic, 0)
        subscriptions.assign_from_user([tp])
        subscriptions.subscription.assignment.state_value(tp).seek(0)
        for _ in range(turns if topic == "payments" else 10):
            await asyncio.sleep(0)
    closing = asyncio.ensure_future(fetcher.close())
    await asyncio.wait((closing,), timeout=PATIENCE_S)
    closed = bool(closing.done())
    while not fetcher._fetch_task.done():
        fetcher._fetch_task.cancel()
        await asyncio.sleep(0.01)
    return closed


async def main() -> int:
    """Return the exit status."""
    waiting = [turns for turns in range(5) if not await closes(turns)]
    print(f"Turns of the loop after which `close` does not return: {waiting or 'none'}.")
    return 0 if waiting else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
