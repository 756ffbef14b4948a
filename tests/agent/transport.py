"""The worker's consumer with its fetching thread replaced: by chosen chunks, or by a small log."""

import asyncio
from random import Random
from typing import Any

from faust.types import TP, Message

from dedup.kafka.unread_records import FetchedBatch
from dedup.streaming.batch_transport import BatchConsumer
from dedup.streaming.recordbatch import RecordBatch
from tests.support.records import TP0, event, record

TP1 = TP("products", 1)
CHANGELOG = TP("src_products", 0)


class ChosenChunks:
    """Stands in for the thread: gives the next chosen chunks, notes where it is sent."""

    def __init__(self) -> None:
        self.chunks: list[dict[TP, FetchedBatch]] = []
        self.asked: list[set[TP]] = []
        self.gone_to: list[tuple[TP, int]] = []
        self.committed: dict[TP, int] = {}
        self.earliest: dict[TP, int] = {}
        self.ends: dict[TP, int] = {}
        self.tps = {TP0, TP1, CHANGELOG}
        self.woken = 0
        self.thread_loop: asyncio.AbstractEventLoop

    def assignment(self) -> set[TP]:
        return self.tps

    async def fetch(self, tps: set[TP], wait_s: float) -> dict[TP, FetchedBatch]:
        assert wait_s > 0
        self.asked.append(tps)
        await asyncio.sleep(0)
        return self.chunks.pop(0) if self.chunks else {}

    async def rewind(self, tps: set[TP]) -> dict[TP, int]:
        return {tp: self.committed.get(tp, 0) for tp in tps}

    async def go_to(self, tp: TP, offset: int) -> None:
        self.gone_to.append((tp, offset))

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        return {tp: self.earliest.get(tp, 0) for tp in tps}

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        return {tp: self.ends.get(tp, 1_000) for tp in tps}

    async def commit(self, offsets: dict[TP, int]) -> bool:
        self.committed |= offsets
        return True

    def wake(self) -> None:
        self.woken += 1


def chunk(start: int, end: int, *offsets: int) -> FetchedBatch:
    """Return a chunk; without offsets it has a record for each position."""
    found = offsets or tuple(range(start, end))
    return FetchedBatch([record(o, event(number=1)) for o in found], start, end, 200 * len(found))


class Rig:
    """A consumer that has just been assigned two partitions and recovered."""

    def __init__(self, consumer: BatchConsumer, thread: ChosenChunks) -> None:
        self.consumer = consumer
        self.thread = thread

    async def get(self, chunks: dict[TP, FetchedBatch]) -> list[tuple[TP, Message]]:
        self.thread.chunks.append(chunks)
        return [item async for item in self.consumer.getmany(timeout=0.01)]

    async def batch(self, tp: TP, given: FetchedBatch) -> RecordBatch:
        ((found, message),) = await self.get({tp: given})
        assert found == tp
        assert isinstance(message.value, RecordBatch)
        message.value.begin()
        return message.value

    def committable(self, tp: TP) -> Any:
        return self.consumer._new_offset(tp)


async def rig_of(consumer: BatchConsumer, thread: ChosenChunks) -> Rig:
    """Put a stand-in for the thread into a consumer, assign its partitions and recover."""
    thread.thread_loop = consumer._thread.thread_loop
    consumer._thread = thread  # type: ignore[assignment]
    await consumer.perform_seek()
    consumer.resume_flow()
    return Rig(consumer, thread)


class Log(ChosenChunks):
    """Stands in for the thread with a log behind it: it fetches from where it is sent.

    As around a seek of the real client, a fetch may be lost after the position has moved on.
    """

    def __init__(self, random: Random, end: int) -> None:
        super().__init__()
        self._random = random
        self.positions: dict[TP, int] = {}
        self.lost = 0
        self.ends = {TP0: end, TP1: end}

    async def fetch(self, tps: set[TP], wait_s: float) -> dict[TP, FetchedBatch]:
        found = await super().fetch(tps, wait_s)
        for tp in tps:
            start = self.positions[tp]
            end = self.positions[tp] = min(start + self._random.randint(1, 5), self.ends[tp])
            if end < self.ends[tp] and self._random.random() < 0.2:  # what follows shows it
                self.lost += 1
            elif start < end:
                found[tp] = chunk(start, end)
        return found

    async def rewind(self, tps: set[TP]) -> dict[TP, int]:
        found = await super().rewind(tps)
        self.positions.update(found)
        return found

    async def go_to(self, tp: TP, offset: int) -> None:
        await super().go_to(tp, offset)
        self.positions[tp] = offset

    async def commit(self, offsets: dict[TP, int]) -> bool:
        return self._random.random() < 0.8 and await super().commit(offsets)
