"""Faust: a worker that stops during a rebalance closes its client on the wrong event loop.

`App._on_rebalance_when_stopped` calls `Consumer.close()`, and `AIOKafkaConsumerThread.close` hands
the `close` of aiokafka's client and coordinator to `self.app.loop`. Both belong to the loop of the
consumer thread. There they fail half-way: the metadata task is cancelled, and who waits for its
update in the consumer's thread, such as the group's leader before it assigns, waits forever.
If `AIOKafkaConsumer.stop()` was called before, it waits for that, and the process hangs.

Exits with 0 while Faust has the fault, with 1 when it has not. Needs no broker.
"""

import asyncio
import logging
import sys
import threading
from types import SimpleNamespace
from typing import Any, Final

import faust
from aiokafka.client import AIOKafkaClient

PATIENCE_S: Final = 2.0

closed_on: list[asyncio.AbstractEventLoop] = []


class Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka ships no types
    """A client whose brokers do not answer; it notes where it is closed."""

    async def _metadata_update(self, *_: Any) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        closed_on.append(asyncio.get_running_loop())
        try:
            await super().close()
        except RuntimeError as error:  # Faust never looks at it
            print(f"Client.close() raises: {error}")
            raise


async def rebalance() -> tuple[Client, asyncio.Task[None]]:
    """Wait for metadata, as the leader of a group does before it assigns partitions."""
    client = Client()
    client._sync_task = asyncio.ensure_future(client._md_synchronizer())
    client.set_topics({"orders"})
    return client, asyncio.ensure_future(client._maybe_wait_metadata())


async def nothing(*_: Any) -> None:
    """Take the place of a callback."""


async def main() -> int:
    """Return the exit status."""
    logging.disable()
    app = faust.App("upstream")
    consumer: Any = app.transport.create_consumer(
        callback=nothing, on_partitions_revoked=nothing, on_partitions_assigned=nothing
    )
    app._consumer = consumer
    loop = consumer._thread.thread_loop
    threading.Thread(target=loop.run_forever, daemon=True).start()
    client, waiting = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(rebalance(), loop))
    coordinator = SimpleNamespace(close=nothing)
    consumer._thread._consumer = SimpleNamespace(_client=client, _coordinator=coordinator)
    app._on_rebalance_when_stopped()
    await asyncio.sleep(PATIENCE_S)
    print(f"Closed on the loop of the main thread: {app.loop in closed_on}.")
    print(f"The wait for metadata has ended: {waiting.done()}.")
    loop.call_soon_threadsafe(loop.stop)
    return 0 if app.loop in closed_on else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
