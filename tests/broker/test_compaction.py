"""A worker that starts without a disk on a compacted topic, while events keep coming."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from dedup.localkafka import LocalKafka
from producer.events import EventGenerator, GeneratedEvent, Mix
from tests.support.administration import alter
from tests.support.topics import emissions, ends_of, judge, produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess

OFTEN = {"log.cleaner.backoff.ms": "200", "log.initial.task.delay.ms": "100"}
AT_ONCE = {"segment_ms": "100", "min_cleanable_dirty_ratio": "0.001"}
"""All but the newest records are removed; an append closes the segment before it."""

GONE_AT_LEAST = 500


class Feed:
    """A producer that goes on until it is told to stop."""

    def __init__(self, kafka: str, names: Names, events: Iterator[GeneratedEvent]) -> None:
        self._kafka, self._names, self._events = kafka, names, events
        self._over = asyncio.Event()
        self.sent = 0

    async def send(self, count: int) -> None:
        records = [(event.key, event.value) for event in islice(self._events, count)]
        await produce(self._kafka, records, self._names.source)
        self.sent += count

    def start(self) -> None:
        """Send without an end."""
        self._sending = asyncio.ensure_future(self._go_on())

    async def _go_on(self) -> None:
        while not self._over.is_set():
            await self.send(50)
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """Send the last events."""
        self._over.set()
        await self._sending


async def offsets_of(kafka: str, topic: str) -> set[tuple[int, int]]:
    found = await read_topic(kafka, topic)
    return {(partition, r.offset) for partition, records in found.items() for r in records}


async def wait_until_compacted(kafka: str, topic: str, before: set[tuple[int, int]]) -> None:
    """Wait until the cleaner has removed many of the records that were there before."""
    async with asyncio.timeout(90):
        while len(before - await offsets_of(kafka, topic)) < GONE_AT_LEAST:
            await asyncio.sleep(0.3)


def follows(head: list[str | None], tail: list[str | None], whole: list[str | None]) -> bool:
    """Whether a product's emissions are complete but for what compaction took from the head."""
    begin = len(whole) - len(tail)
    rest = iter(whole[:begin])
    return whole[begin:] == tail and all(each in rest for each in head) and bool(head or tail)


async def test_a_worker_without_a_disk_on_a_compacted_topic_loses_nothing_under_a_feed(
    tmp_path: Path,
) -> None:
    """The head of the topic is gone, but of each product its newest row: that is enough."""
    names = Names.fresh()
    events = EventGenerator(4, lambda: datetime(2026, 1, 1, tzinfo=UTC), Mix(products=300))
    with LocalKafka(properties=OFTEN) as broker:
        kafka = broker.bootstrap_servers
        feed = Feed(kafka, names, events)
        with WorkerProcess(kafka, tmp_path / "first", names.settings) as first:
            first.wait_until_ready()
            await feed.send(4_000)
            await wait_until_done(kafka, names)
            written = await offsets_of(kafka, names.states)
            await alter(kafka, names.states, cleanup_policy="compact", **AT_ONCE)
            feed.start()
            await wait_until_compacted(kafka, names.states, written)
            first.kill()
        await alter(kafka, names.states, cleanup_policy="compact")
        sent, ends = feed.sent, await ends_of(kafka, names.states)
        with WorkerProcess(kafka, tmp_path / "second", names.settings) as second:
            await asyncio.to_thread(second.wait_until_ready)
            while_it_started = feed.sent - sent
            await feed.stop()
            await wait_until_done(kafka, names)
        assert while_it_started > 0
        expected = judge(await read_topic(kafka, names.source)).emitted
        output = await read_topic(kafka, names.states)
    head = emissions({p: [r for r in rs if r.offset < ends[p]] for p, rs in output.items()})
    tail = emissions({p: [r for r in rs if r.offset >= ends[p]] for p, rs in output.items()})
    assert sum(map(len, tail.values())) > 0
    wrong = {i: all_ for i, all_ in expected.items() if not follows(head[i], tail[i], all_)}
    assert wrong == {}
    assert head.keys() | tail.keys() == expected.keys()
