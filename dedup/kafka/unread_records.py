"""What an aiokafka consumer has fetched and not handed out yet: aiokafka has no public name.

`take_unread` does what `AIOKafkaConsumer.getmany` does, and decodes whole record batches: aiokafka
passes each record through a generator and wraps it in a `ConsumerRecord` that repeats topic and
partition, which costs more than to decode it. Records, positions and refusals are the same.
"""

import asyncio
from collections.abc import Collection
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult
from aiokafka.errors import CorruptRecordException

from dedup.core.batch_result import SourceRecord
from dedup.kafka.header_keys import AnyKeyPartitionRecords


class FetchedBatch(NamedTuple):
    """What one fetch returned of a partition: the records from position `start` up to `end`.

    There can be fewer records than `end - start`, even none: compaction, aborted transactions and
    transaction markers leave holes. `size_bytes` is at least that of their values: the size of the
    fetch, or where it was compressed that of the values themselves.
    """

    records: list[SourceRecord]
    start: int
    end: int
    size_bytes: int


def unread_records(fetcher: Any, tp: Any) -> AnyKeyPartitionRecords | None:
    """Return what a consumer has fetched of a partition and not handed out, or None.

    It is aiokafka's `PartitionRecords`: an iterator of records that keeps the fetch they are in.
    """
    fetched = fetcher._records.get(tp)
    return fetched._partition_records if isinstance(fetched, FetchResult) else None


def take_unread(fetcher: Any, tps: Collection[Any]) -> dict[Any, FetchedBatch]:
    """Return what is fetched of these partitions, and advance their positions.

    Raises the error of a fetch that failed, and CorruptRecordException for records that can't be
    decoded: their position stays, and they are fetched again.
    """
    taken: dict[Any, FetchedBatch] = {}
    for tp in list(fetcher._records):
        if not fetcher._subscriptions.is_assigned(tp):
            del fetcher._records[tp]
            continue
        fetched = fetcher._records[tp]
        if tp not in tps:
            continue
        if not isinstance(fetched, FetchResult) and taken:
            return taken  # the next call raises the error
        del fetcher._records[tp]  # whatever becomes of it, the next fetch can be sent
        fetcher._notify(fetcher._wait_consume_future)
        if not isinstance(fetched, FetchResult):
            fetched.check_raise()
        elif fetched.check_assignment(tp):
            state = fetched._assignment.state_value(tp)
            start, unread = state.position, fetched._partition_records
            records, size_bytes = decoded(unread)
            state.consumed_to(unread.next_fetch_offset)
            if state.position != start:
                taken[tp] = FetchedBatch(records, start, state.position, size_bytes)
    return taken


async def take_fetched(
    consumer: AIOKafkaConsumer, tps: Collection[Any], timeout_s: float
) -> dict[Any, FetchedBatch]:
    """Take what a consumer without a group fetches; wait for some up to `timeout_s` seconds."""
    fetcher = consumer._fetcher
    with fetcher._subscriptions.fetch_context():
        taken = take_unread(fetcher, tps)
        if not taken:
            arrived = fetcher._create_fetch_waiter()
            await asyncio.wait((arrived,), timeout=timeout_s)
            if not arrived.done():
                arrived.cancel()
                return taken
            arrived.result()  # raises the fetcher's error, such as a refused topic
            taken = take_unread(fetcher, tps)
    return taken


def decoded(unread: AnyKeyPartitionRecords) -> tuple[list[SourceRecord], int]:
    """Return all records that are left in a fetch, and their size in bytes."""
    found: list[SourceRecord] = []
    size_bytes = unread.size_bytes
    try:
        buffer_has_values = _decode(unread, found)
    except (UnicodeDecodeError, CorruptRecordException):
        if not unread.read_leniently():
            raise
        # The batches in `found` are whole, so decoding continues after them.
        _decode(unread, found)
        buffer_has_values = False  # unknown, of those before
    if not buffer_has_values:
        size_bytes = max(size_bytes, sum(len(record.value or b"") for record in found))
    return found, size_bytes


def _decode(unread: AnyKeyPartitionRecords, found: list[SourceRecord]) -> bool:
    """Add the records that are left in a fetch; do what `PartitionRecords._unpack_records` does.

    Returns whether the fetch is at least as large as their values.
    """
    records, is_plain = unread._records, True
    while records.has_next():
        batch = records.next_batch()
        if unread._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {unread._tp}")
        if not _is_skipped(unread, batch):
            first = unread.next_fetch_offset
            if batch.producer_id is None:  # a format before 2, which knows none
                _add_old_records(unread, batch, found)
                is_plain = False
            elif batch.base_offset >= first:
                found += list(batch)  # all of them or, where one can't be decoded, none
                is_plain = is_plain and not batch.compression_type
            else:
                found += [record for record in batch if record.offset >= first]
                is_plain = is_plain and not batch.compression_type
        unread.next_fetch_offset = batch.next_offset
    return is_plain


def _is_skipped(unread: AnyKeyPartitionRecords, batch: Any) -> bool:
    """Return whether a batch is of an aborted transaction, or a transaction marker."""
    if unread._isolation_level == READ_COMMITTED and batch.producer_id is not None:
        unread._consume_aborted_up_to(batch.base_offset)
        if batch.is_control_batch and unread._contains_abort_marker(batch):
            unread._aborted_producers.discard(batch.producer_id)
        if batch.is_transactional and batch.producer_id in unread._aborted_producers:
            return True
    return bool(batch.is_control_batch)


def _add_old_records(unread: AnyKeyPartitionRecords, batch: Any, found: list[SourceRecord]) -> None:
    """Add the records of a batch in a format before 2, which may begin before the position."""
    for record in batch:
        if record.offset >= unread.next_fetch_offset:
            unread.next_fetch_offset = record.offset + 1
            found.append(record)
