"""The sink reads of every row what the codec reads, whichever of the two ways it takes."""

import json
import random
from collections import Counter

from dedup.core.codec import Codec
from dedup.entities.product import PRODUCT
from dedup.sink.reading import RowReader
from tests.core.orders import ORDER, WRAPPED, changed, document_of
from tests.sink.entities import INTEGER, TEXT, UUIDS, RandomRows
from tests.support.rows import RandomTopic, row


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
    reader, codec = RowReader(PRODUCT), Codec(PRODUCT)
    assert all(agree(reader, codec, v) for _, _, v in RandomTopic(5).records(500) if v is not None)


def test_the_id_is_that_of_the_key() -> None:
    reader, value = RowReader(PRODUCT), json.dumps(row(7, 1)).encode()
    for key in (b'{"product_id":8}', b'{ "product_id" : 8 }', b"8"):
        read = reader.read(key, value)
        assert read is not None
        assert (read[0], reader.read(key, None)) == (8, (8, None))
    for no_key in (None, b"", b"x", b"0", b"8.0", b'"8"', b"[8]", b'{"id":8}'):
        assert reader.read(no_key, value) is None
        assert reader.read(no_key, None) is None
