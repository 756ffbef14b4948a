"""The sink reads of every row what the codec reads, whichever of the two ways it takes."""

import json
import random
from collections import Counter
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from dedup.core.codec import Codec
from dedup.entities.product import PRODUCT
from dedup.sink.reading import RowReader
from tests.core.orders import ORDER, WRAPPED, changed, document_of
from tests.sink.entities import INTEGER, TEXT, UUIDS, RandomRows
from tests.support.rows import RandomTopic, row

READER, CODEC = RowReader(PRODUCT), Codec(PRODUCT)


def agree(reader: RowReader, codec: Codec, value: bytes) -> bool:
    """Hold the reader against the codec on one row; tell whether it is one."""
    expected, found = codec.read_row(value), reader.values(value)
    assert (found is None) == (expected is None), value
    if expected is not None and found is not None:
        assert tuple(found) == expected.values, value
    return expected is not None


def test_reader_and_codec_agree_on_mutated_rows() -> None:
    draw, reader, codec = random.Random(1), RowReader(WRAPPED), Codec(WRAPPED)
    seen: Counter[bool] = Counter()
    last = {"last_event_timestamp": '"2026-01-01T00:00:00.000000Z"', "last_old_total": "null"}
    for _ in range(20_000):
        text = document_of(ORDER, {**last, **changed(draw, [*ORDER, "unknown"])})
        seen[agree(reader, codec, text.encode("utf-8", "surrogatepass"))] += 1
    assert min(seen[True], seen[False]) > 2_000


def test_reader_and_codec_agree_on_histories() -> None:
    for entity in (TEXT, UUIDS, INTEGER):
        reader, codec = RowReader(entity), Codec(entity)
        for _, key, value in RandomRows(entity, 5).records(500):
            read = reader.read(key, value)
            assert read is not None
            assert read[0] == codec.keys.read_output(key)
            assert (read[1] is None) == (value is None)
            if value is not None:
                assert agree(reader, codec, value)
    assert all(agree(READER, CODEC, v) for _, _, v in RandomTopic(5).records(500) if v is not None)


class Written(NamedTuple):
    """A record as a consumer returns it."""

    key: bytes | None
    value: bytes | None


TIMES = st.sampled_from(
    [
        *("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00", "2026-01-01T02:00:00+02:00"),
        *("2026-01-01T00:00:00", "2026-01-01 00:00", "2026-01-01", "", 0, None),
    ]
)
PRICES = st.sampled_from(
    ["1.00", "1.0", "01.00", "-1.00", "-0.00", "", " 1.00", "1e2", 1, 1.5, None]
)
ODD: dict[str, st.SearchStrategy[Any]] = {
    "product_id": st.sampled_from([1, 0, -1, 2**63, "1", None]),
    "product_name": st.sampled_from(["", "\u00e9", "\x00", "\ud800", "x" * 256, None]),
    "description": st.sampled_from(["\x00", "\\u0000", "", 1]),
    "price": PRICES,
    "stock_quantity": st.sampled_from([0, -1, 2**31, 1.0, "1", None]),
    "discount": PRICES,
    "created_at": TIMES,
    "updated_at": TIMES,
    "unknown": st.sampled_from(["\x00", [1], "\ud800"]),
}
ONE_ODD = st.sampled_from(sorted(ODD)).flatmap(
    lambda name: ODD[name].map(lambda value: {name: value})
)
ROWS = st.builds(
    lambda number, odd, ascii_: json.dumps(row(number, 1) | odd, ensure_ascii=ascii_).encode(
        "utf-8", "surrogatepass"
    ),
    st.integers(1, 3),
    st.one_of(st.just({}), ONE_ODD),
    st.booleans(),
)
KEYS = st.sampled_from(
    [b'{"product_id":1}', b'{"product_id":2}', b"2", b'{ "product_id" : 3 }', None]
)
VALUES = st.one_of(ROWS, ROWS, ROWS, st.none(), st.sampled_from([b"", b"{}", b"{},{}", b'"\xff"']))


@settings(max_examples=1_500, deadline=None)
@given(st.lists(st.builds(Written, KEYS, VALUES), max_size=6))
def test_records_read_together_are_what_the_codec_reads_of_each(records: list[Written]) -> None:
    """Whether the values are tested by columns or, because one row is in another form, by rows."""
    expected: list[Any] = []
    for record in records:
        row_id = CODEC.keys.read_output(record.key)
        read = None if record.value is None else CODEC.read_row(record.value)
        is_row = row_id is not None and (record.value is None or read is not None)
        expected.append((row_id, read and read.values) if is_row else None)
    assert repr(READER.read_all(records)) == repr(expected)  # times in UTC and others are equal


def test_the_id_is_that_of_the_key() -> None:
    value = json.dumps(row(7, 1)).encode()
    for key in (b'{"product_id":8}', b'{ "product_id" : 8 }', b"8"):
        read = READER.read(key, value)
        assert read is not None
        assert (read[0], READER.read(key, None)) == (8, (8, None))
    for no_key in (None, b"", b"x", b"0", b"8.0", b'"8"', b"[8]", b'{"id":8}'):
        assert READER.read(no_key, value) is None
        assert READER.read(no_key, None) is None
