"""aiokafka: nobody acts on topics that are set while the periodic metadata refresh is in progress.

The refresh begins because its timeout has passed, so `_md_update_waiter` is not done. `set_topics`
finds an update in progress and does not set the waiter. `_md_synchronizer` sees that the topics
changed and continues, to ask again at once, but waits for the waiter, up to `metadata_max_age_ms`.
Whoever waits for an update waits as long: a group leader in `_perform_assignment`, for instance.

Exits with 0 while aiokafka has the fault, with 1 when it has not. Needs no broker.
"""

import asyncio
import sys
from typing import Any, Final

from aiokafka.client import AIOKafkaClient

PATIENCE_S: Final = 2.0


class Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka ships no types
    """A client of a broker that answers requests for metadata once `answer` is set."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.requests = 0
        self.requested, self.answer = asyncio.Event(), asyncio.Event()

    async def _metadata_update(self, *_: Any) -> bool:
        self.requests += 1
        self.requested.set()
        await self.answer.wait()
        return True


async def main() -> int:
    """Return the exit status."""
    client = Client(metadata_max_age_ms=50)
    synchronizer = asyncio.ensure_future(client._md_synchronizer())  # `bootstrap` starts it
    await client.requested.wait()
    client._metadata_max_age_ms = 300_000  # the default: the refresh after this one is far off
    updated = client.set_topics({"orders"})
    client.answer.set()
    await asyncio.wait((updated,), timeout=PATIENCE_S)
    synchronizer.cancel()
    print(f"Requests for metadata: {client.requests}, one before `orders` was set.")
    if updated.done():
        print("The update that `set_topics` asked for is done.")
        return 1
    print(f"{PATIENCE_S} s later, the update that `set_topics` asked for is not done.")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
