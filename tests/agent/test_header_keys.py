"""The lenient parser of header keys, beside aiokafka's own."""

from random import Random
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchBuilderPy

from dedup.kafka.client import adjust_aiokafka
from dedup.kafka.header_keys import RawKey, has_raw_key
from dedup.kafka.unread_records import decoded

RAW = RawKey(b"\xff\xed\xa0\x80\xe9".decode("utf-8", "surrogateescape"))
GZIP, LZ4 = 1, 3

Headers = list[tuple[str, bytes | None]]


@pytest.fixture(autouse=True)
def _adjusted() -> None:
    adjust_aiokafka()


def batch(base: int, headers: list[Headers], codec: int = 0) -> bytes:
    """A record batch at an offset: a record for each list of headers."""
    plain = not any(map(has_raw_key, headers))
    builder = DefaultRecordBatchBuilder if plain else _DefaultRecordBatchBuilderPy
    made = builder(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1024 * 1024,
    )
    for number, each in enumerate(headers):
        made.append(number, 1_000, b"%d" % (base + number), b"value", each)
    return base.to_bytes(8, "big") + bytes(made.build())[8:]


def unread(data: bytes, offset: int) -> Any:
    records = fetcher.MemoryRecords(data)
    tp, level = TopicPartition("t", 0), fetcher.READ_COMMITTED
    return fetcher.PartitionRecords(tp, records, [], offset, None, None, True, level)


def read(data: bytes, offset: int = 0) -> list[Any]:
    """Read records one by one, and as whole batches: they are the same."""
    one_by_one, at_once = unread(data, offset), unread(data, offset)
    records, size_bytes = decoded(at_once)
    found = list(one_by_one)
    assert at_once.next_fetch_offset == one_by_one.next_fetch_offset
    assert size_bytes >= len(b"value") * len(records)
    for ours, theirs in zip(records, found, strict=True):
        assert (ours.offset, ours.key, ours.value) == (theirs.offset, theirs.key, theirs.value)
        assert [*ours.headers] == [*theirs.headers]
    return found


@pytest.mark.parametrize("codec", [0, GZIP, LZ4])
@pytest.mark.parametrize("seed", range(10))
def test_every_record_comes_once_and_in_order_with_its_header_keys(seed: int, codec: int) -> None:
    """From any offset on, wherever among the batches the keys stand that are not UTF-8."""
    random = Random(seed)
    wanted: list[Headers] = []
    batches: list[tuple[int, bytes]] = []
    for _ in range(random.randint(1, 8)):
        headers: list[Headers] = [
            [(RAW if random.random() < 0.2 else "k\xe9y", b"x")] * random.randint(0, 2)
            for _ in range(random.randint(1, 5))
        ]
        made = batch(len(wanted), headers, codec)
        wanted += headers
        batches.append((len(wanted), made))
    for offset in range(len(wanted)):
        fetched = b"".join(made for end, made in batches if end > offset)
        found = read(fetched, offset)
        assert [record.offset for record in found] == list(range(offset, len(wanted)))
        assert [list(record.headers) for record in found] == wanted[offset:]
        assert all(record.key == b"%d" % record.offset for record in found)
        keys = [key for record in found for key, _ in record.headers]
        assert all(isinstance(key, RawKey) == (key == RAW) for key in keys)


def test_a_raw_key_encodes_to_the_bytes_it_was_read_from() -> None:
    (record,) = read(batch(0, [[(RAW, None)]]))
    assert record.headers[0][0].encode() == b"\xff\xed\xa0\x80\xe9"


def test_what_is_truly_corrupt_is_still_refused() -> None:
    data = batch(0, [[("key", b"value")]] * 3)
    cut = data[:-2] + b"\x7f\x7f"
    with pytest.raises(CorruptRecordException):
        list(unread(cut, 0))
    with pytest.raises(CorruptRecordException):
        decoded(unread(cut, 0))
