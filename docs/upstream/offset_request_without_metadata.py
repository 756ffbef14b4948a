"""aiokafka: a fetcher whose partition moved to another leader asks the old one for offsets again.

`Fetcher._update_fetch_positions` retries after each NotLeaderForPartitionError and asks for no
metadata, so the leader stays the one that it knows. Partitions that this broker does lead are not
fetched meanwhile: an offset has to be reset there first.

Exits with 0 while aiokafka has the fault, with 1 when it has not. Needs no broker.
"""

import asyncio
import sys
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import NotLeaderForPartitionError
from aiokafka.protocol.metadata import MetadataResponse_v0

TRIES: Final = 5
BROKERS: Final = [(1, "127.0.0.1", 9092), (2, "127.0.0.1", 9093)]


class Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka ships no types
    """A client that knows broker 1 as the leader, and whose broker 1 is no leader any more."""

    requests = 0
    updates = 0
    enough: asyncio.Event

    async def send(self, *_: Any, **__: Any) -> Any:
        self.requests += 1
        if self.requests == TRIES:
            self.enough.set()
        raise NotLeaderForPartitionError("orders-0")

    def force_metadata_update(self) -> "asyncio.Future[bool]":
        self.updates += 1
        return super().force_metadata_update()  # type: ignore[no-any-return]


async def main() -> int:
    """Return the exit status."""
    client = Client()
    client.enough = asyncio.Event()
    partition = (0, 0, 1, [1, 2], [1, 2])
    client.cluster.update_metadata(MetadataResponse_v0(BROKERS, [(0, "orders", [partition])]))
    subscriptions = SubscriptionState()
    fetcher = Fetcher(client, subscriptions, auto_offset_reset="earliest", retry_backoff_ms=10)
    tp = TopicPartition("orders", 0)
    subscriptions.assign_from_user([tp])
    state = subscriptions.subscription.assignment.state_value(tp)
    state.await_reset(-2)
    await asyncio.wait_for(client.enough.wait(), 10)
    fetcher._fetch_task.cancel()
    print(f"Requests to the old leader: {client.requests}, for metadata: {client.updates}.")
    return 0 if client.updates == 0 else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
