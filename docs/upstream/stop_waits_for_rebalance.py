"""aiokafka: `AIOKafkaConsumer.stop()` waits until the rebalance in progress is over.

`GroupCoordinator.close` waits for the coordination task, and that for the answer to its JoinGroup.
Brokers answer it when every member has rejoined, or after `rebalance_timeout_ms`. There is no limit
of its own, where the Java client's `close` has a timeout.

Exits with 0 while aiokafka has the fault, with 1 when it has not. Needs no broker.
"""

import asyncio
import sys
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import consumer as consumer_module
from aiokafka.protocol.group import JoinGroupRequest
from aiokafka.protocol.metadata import MetadataResponse_v0

PATIENCE_S: Final = 2.0


class Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka ships no types
    """A client of a broker that waits for another member of the group to rejoin."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.joining = asyncio.Event()

    async def bootstrap(self) -> None:
        partition = (0, 0, 0, [0], [0])
        self.cluster.update_metadata(
            MetadataResponse_v0([(0, "broker", 9092)], [(0, "orders", [partition])])
        )

    async def coordinator_lookup(self, *_: Any) -> int:
        return 0

    async def ready(self, *_: Any, **__: Any) -> bool:
        return True

    async def send(self, _: int, request: Any, **__: Any) -> None:
        if isinstance(request, JoinGroupRequest):
            self.joining.set()
            await asyncio.Event().wait()


async def main() -> int:
    """Return the exit status."""
    consumer_module.AIOKafkaClient = Client
    consumer = AIOKafkaConsumer("orders", group_id="group")
    starting = asyncio.ensure_future(consumer.start())
    await consumer._client.joining.wait()
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait((stopping,), timeout=PATIENCE_S)
    stopped = stopping.done()
    starting.cancel()
    if stopped:
        print("stop() has returned, although the group still rebalances.")
        return 1
    print(f"{PATIENCE_S} s later, stop() still waits for the answer to JoinGroup.")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
