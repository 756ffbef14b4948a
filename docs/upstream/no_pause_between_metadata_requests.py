"""aiokafka: a client asks for metadata without a pause while a partition has no leader.

The comment in `Sender._sender_routine` says "try to update cluster metadata and wait backoff time",
but it waits for the update alone, which ends at once. While the brokers are down, each request is a
failed connection and two lines in the log, thousands of times a second, on a full core. The fetcher
does the same for a consumer (`invalid_metadata` in `Fetcher._fetch_requests_routine`). Kafka's own
clients wait `retry.backoff.ms` between requests for metadata, and `reconnect.backoff.ms` before
they reconnect.

Exits with 0 while aiokafka has the fault, with 1 when it has not. Needs no broker.
"""

import asyncio
import logging
import socket
import sys
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.producer import producer as producer_module
from aiokafka.protocol.metadata import MetadataResponse_v0

FOR_S: Final = 1.0
WITH_PAUSES: Final = 100
"""More attempts than that are not `retry_backoff_ms`, 100 ms, apart: not by far."""


class Client(AIOKafkaClient):  # type: ignore[misc]  # aiokafka ships no types
    """A client that knows one broker, which is down, and a partition without a leader."""

    async def bootstrap(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        partition = (0, 0, -1, [0], [0])
        self.cluster.update_metadata(
            MetadataResponse_v0([(0, "127.0.0.1", port)], [(0, "orders", [partition])])
        )
        self.attempts = 0
        self._sync_task = asyncio.ensure_future(self._md_synchronizer())

    async def _get_conn(self, *arguments: Any, **options: Any) -> Any:
        self.attempts += 1
        return await super()._get_conn(*arguments, **options)


async def main() -> int:
    """Return the exit status."""
    logging.disable()
    producer_module.AIOKafkaClient = Client
    producer = AIOKafkaProducer()
    await producer.start()
    await producer.send("orders", b"one", partition=0)
    await asyncio.sleep(FOR_S)
    attempts = producer.client.attempts
    producer._sender.sender_task.cancel()
    await producer.client.close()
    print(f"Connections attempted in {FOR_S} s, with retry_backoff_ms=100: {attempts}.")
    return 0 if attempts > WITH_PAUSES else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
