"""Whole record batches are decoded to what aiokafka decodes record by record."""

import gc
import weakref
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import CorruptRecordException, KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from dedup.kafka.client import adjust_aiokafka
from dedup.kafka.unread_records import FetchedBatch, take_unread, unread_records

TP = TopicPartition("t", 0)
CODECS = [0, 1, 2, 3, 4]
GZIP = 1
OLD = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3)]
"""Formats and codecs of message sets; format 0 has no lz4 that aiokafka writes."""

Headers = list[tuple[str, bytes | None]]


@pytest.fixture(autouse=True)
def _adjusted() -> None:
    adjust_aiokafka()


@pytest.fixture
def collector_off() -> Iterator[None]:
    """No garbage collector: what dies is not part of a cycle."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def batch(base: int, random: Random, codec: int = 0, records: int = 3) -> bytes:
    """A record batch of the current format, with every kind of field that may be null."""
    made = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1024 * 1024)
    for number in range(records):
        key = random.choice([None, b"", b"%d" % number])
        headers: Headers = [("a", None), ("b", b"x")][: random.randint(0, 2)]
        made.append(number, 1_000 + number, key, random.choice([None, b"", b"v" * 50]), headers)
    return base.to_bytes(8, "big") + bytes(made.build())[8:]


def old_batch(base: int, magic: int, codec: int, records: int) -> bytes:
    """A message set of format 0 or 1; a compressed one has the offset of its last record."""
    made = LegacyRecordBatchBuilder(magic, codec, 1024 * 1024)
    for number in range(records):
        made.append(base + number, 1_000 + number, b"%d" % number, b"v" * 500)
    last = base + records - 1
    return last.to_bytes(8, "big") + bytes(made.build())[8:]


def fetched(batches: list[tuple[int, bytes]], position: int) -> bytes:
    """What a broker sends of batches, each with the offset after it, from a position on."""
    return b"".join(data for end, data in batches if end > position)


class Fetches:
    """As much of a fetcher as holds what was fetched: the rest is aiokafka's own."""

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._subscriptions = SubscriptionState()
        self._subscriptions.assign_from_user([TP])
        self._records: dict[TopicPartition, Any] = {}
        self._wait_consume_future = None
        self.notified = 0
        self.state = self._assignment.state_value(TP)
        self.state.seek(position)
        self.give(data, position)

    @property
    def _assignment(self) -> Any:
        return self._subscriptions.subscription.assignment

    def give(self, data: bytes, position: int) -> None:
        records = fetcher.PartitionRecords(
            *(TP, fetcher.MemoryRecords(data), [], position, None, None, True),
            fetcher.READ_COMMITTED,
        )
        self._records[TP] = fetcher.FetchResult(
            TP, assignment=self._assignment, partition_records=records, backoff=0
        )

    def _notify(self, _future: Any) -> None:
        self.notified += 1


def told(records: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (r.offset, r.timestamp, r.timestamp_type, r.key, r.value, list(r.headers)) for r in records
    ]


def assert_as_aiokafka(data: bytes, position: int) -> FetchedBatch:
    """Take a fetch both ways and compare records and positions."""
    theirs, ours = Fetches(data, position), Fetches(data, position)
    wanted = theirs._records[TP].getall()
    found = take_unread(ours, {TP})[TP]
    assert told(found.records) == told(wanted)
    assert (found.start, found.end) == (position, theirs.state.position)
    assert ours.state.position == theirs.state.position
    assert (ours._records, ours.notified) == ({}, 1)
    assert found.size_bytes >= sum(len(record.value or b"") for record in found.records)
    return found


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("seed", range(8))
async def test_from_every_position_whole_batches_are_as_aiokafka_gives_them(
    seed: int, codec: int
) -> None:
    random = Random(seed)
    batches: list[tuple[int, bytes]] = []
    end = 0
    for _ in range(random.randint(1, 4)):
        end += random.choice([0, 0, 2])  # compaction leaves holes
        number = random.randint(1, 5)
        data = batch(end, random, random.choice([0, codec]), number)
        end += number
        batches.append((end, data))
    for position in range(end):
        # A fetch begins with the batch that has the position, and ends within another one.
        cut = batch(end, random)[: random.choice([0, 5, 40])]
        assert_as_aiokafka(fetched(batches, position) + cut, position)


@pytest.mark.parametrize(("magic", "codec"), OLD)
async def test_old_formats_are_as_aiokafka_gives_them(magic: int, codec: int) -> None:
    """Sets of one format: aiokafka's compiled parser takes all of a fetch for that of the first."""
    ends = [3, 5, 9] if codec else range(1, 10)
    starts = [0, *ends]
    batches = [
        (end, old_batch(start, magic, codec, end - start))
        for start, end in zip(starts, ends, strict=False)
    ]
    for position in range(9):
        found = assert_as_aiokafka(fetched(batches, position), position)
        assert [record.offset for record in found.records] == list(range(position, 9))


async def test_the_size_of_a_compressed_fetch_is_that_of_its_values() -> None:
    """Else what is small on the wire would grow to a batch that memory has no room for."""
    made = DefaultRecordBatchBuilder(2, GZIP, 0, -1, -1, -1, 1024 * 1024)
    for number in range(100):
        made.append(number, 1_000, b"1", b"v" * 1_000, [])
    data = bytes(made.build())
    assert len(data) < 10_000
    assert assert_as_aiokafka(data, 0).size_bytes == 100_000


async def test_a_damaged_batch_is_refused_and_fetched_again() -> None:
    random = Random(3)
    good, bad = batch(0, random), bytearray(batch(3, random))
    bad[-3] ^= 1
    ours, theirs = Fetches(good + bytes(bad)), Fetches(good + bytes(bad))
    with pytest.raises(CorruptRecordException) as expected:
        theirs._records[TP].getall()
    with pytest.raises(CorruptRecordException) as refused:
        take_unread(ours, {TP})
    assert str(refused.value) == str(expected.value)
    assert "Invalid CRC" in str(refused.value)
    assert (ours.state.position, ours._records, ours.notified) == (0, {}, 1)
    ours.give(good, 0)
    assert [r.offset for r in take_unread(ours, {TP})[TP].records] == [0, 1, 2]


async def test_what_was_fetched_for_another_position_is_dropped() -> None:
    ours = Fetches(batch(0, Random(1)))
    ours.state.seek(7)
    assert take_unread(ours, {TP}) == {}
    assert (ours.state.position, ours._records) == (7, {})


async def test_other_partitions_are_left_as_they_are() -> None:
    ours = Fetches(batch(0, Random(1)))
    assert take_unread(ours, set()) == {}
    assert (ours.state.position, list(ours._records)) == (0, [TP])


async def test_an_error_of_a_fetch_is_raised_once() -> None:
    ours = Fetches(b"")
    ours._records[TP] = fetcher.FetchError(error=KafkaError("refused"), backoff=0)
    with pytest.raises(KafkaError, match="refused"):
        take_unread(ours, {TP})
    assert (ours._records, ours.notified) == ({}, 1)


@pytest.mark.usefixtures("collector_off")
async def test_a_fetch_that_was_taken_is_freed_at_once() -> None:
    """One that waits for the garbage collector keeps a megabyte: memory grew to 800 MiB."""
    ours = Fetches(batch(0, Random(1)))
    fetch = weakref.ref(ours._records[TP]), weakref.ref(unread_records(ours, TP))
    taken = take_unread(ours, {TP})
    assert [each() for each in fetch] == [None, None]
    assert len(taken[TP].records) == 3


@pytest.mark.usefixtures("collector_off")
async def test_a_fetch_that_was_not_taken_is_freed_at_once() -> None:
    ours = Fetches(batch(0, Random(1)))
    fetch = weakref.ref(ours._records[TP]), weakref.ref(unread_records(ours, TP))
    ours.state.seek(7)
    take_unread(ours, {TP})
    assert [each() for each in fetch] == [None, None]
