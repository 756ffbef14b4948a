"""Faust: offsets of records that were never delivered are committed.

A fetch that begins before a seek and ends after it returns records from before the seek. Faust
takes what is missing before them for a gap of the topic, as compaction leaves them
(`Consumer._add_gap`), drops the missing records when they arrive, since they are behind the read
offset (`Consumer._drain_messages`), and commits past them (`Consumer._new_offset`).

Exits with 0 while Faust has the fault, with 1 when it has not. Needs no broker.
"""

import asyncio
import logging
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

ORDERS: Final = TP("orders", 0)
SOUGHT: Final = 5
"""The committed offset that the consumer went back to."""

FETCHES: Final = [range(10, 15), range(5, 10), range(10, 15)]
"""What aiokafka returns, in this order: a fetch from before the seek, then those from after it."""


class Consumer(driver.Consumer):
    """A consumer whose fetches are `FETCHES`."""

    fetches: list[range]

    async def _getmany(self, *_: Any, **__: Any) -> Mapping[TP, list[int]]:
        if not self.fetches:
            self._stopped.set()
            return {}
        return {ORDERS: list(self.fetches.pop(0))}

    def _get_active_partitions(self) -> set[TP]:
        return {ORDERS}

    def highwater(self, _: TP) -> int:
        return 15

    def _to_message(self, tp: TP, record: int) -> ConsumerMessage:
        return ConsumerMessage(*tp, record, 0.0, 0, [], None, b"", None, tp=tp)


async def main() -> int:
    """Return the exit status."""
    logging.disable()
    delivered: list[int] = []

    async def deliver(message: ConsumerMessage) -> None:
        delivered.append(message.offset)
        consumer.ack(message)

    async def nothing(*_: Any) -> None:
        """Take the place of a callback."""

    app: Any = faust.App("upstream")
    app.topics._acking_topics.add(ORDERS.topic)
    consumer = Consumer(app.transport, deliver, nothing, nothing)
    consumer.fetches = list(FETCHES)
    fetcher: Any = SimpleNamespace(_stopped=asyncio.Event())
    consumer._committed_offset[ORDERS] = consumer._read_offset[ORDERS] = SOUGHT
    await consumer._drain_messages(fetcher)
    committed = consumer._new_offset(ORDERS)
    lost = sorted(set(range(SOUGHT, committed or 0)) - set(delivered))
    print(f"Delivered: {delivered}. Offset to commit: {committed}. Never delivered: {lost}.")
    return 0 if lost else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
