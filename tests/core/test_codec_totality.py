"""No record makes a codec raise, whatever it holds: bad input is a value."""

import json
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter
from dedup.core.normal_event import EventKind
from dedup.entities.product import PRODUCT
from tests.core.orders import DEBEZIUM, DEBEZIUM_ORDER, EPOCH_ORDER, FLAT, ORDER, WRAPPED

ENTITIES: Final = {"product": PRODUCT, "wrapped": WRAPPED, "flat": FLAT, "debezium": DEBEZIUM}
CODECS: Final = [
    pytest.param(Codec(entity, unknown_fields=unknown), id=f"{name}-{unknown}")
    for name, entity in ENTITIES.items()
    for unknown in ("drop", "pass")
]
NOW: Final = "2026-01-01T00:00:00.000000Z"
KEYS: Final = st.sampled_from([b"1", b"AB-1", b'"AB-1"', b'{"order_id":"AB-1"}']) | st.binary()
NAMES: Final = st.sampled_from(
    [
        *("order", "at", "action", "before", "after", "op", "source", "ts_ms", "schema", "payload"),
        *ORDER,
        *("product", "event_id", "timestamp", "old_price", "product_id", "\ud800", "\x00", ""),
    ]
)
SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.sampled_from(["AB-1", "c", "u", "d", "created", "7d444840-9dc0-11d1-b245-5ffdce74fad2"])
)
VALUES: Final = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(), inner, max_size=5)
    ),
    max_leaves=12,
)


@st.composite
def near_events(draw: st.DrawFn) -> Any:
    """An event of one of the envelopes with members of any kind put in or changed."""
    order = draw(st.sampled_from([ORDER, EPOCH_ORDER, DEBEZIUM_ORDER]))
    row = {**order, **draw(st.dictionaries(NAMES, VALUES, max_size=2))}
    change = draw(st.dictionaries(NAMES, VALUES, max_size=2))
    return draw(
        st.sampled_from(
            [
                {**row, **change},
                {"at": 1, "action": "created", "order": row, **change},
                {"after": row, "op": "u", "source": {"ts_ms": 1}, **change},
                {"schema": change, "payload": {"after": row, "op": "u", "source": {"ts_ms": 1}}},
            ]
        )
    )


def total(codec: Codec, key: bytes | None, value: bytes | None) -> None:
    """Read a record in both ways, complete it, write its row and read that."""
    said, recognised = codec.read(key, value), codec.recognise(key, value, NOW)
    if isinstance(said, DeadLetter):
        assert recognised is None
        assert said.message
        return
    if said.kind is EventKind.DELETE:
        return
    whole = codec.whole(said, None)
    if isinstance(whole, DeadLetter):
        return
    row = codec.row(said, whole, NOW)
    read = codec.read_row(row)
    assert read is not None
    assert codec.canonical(read.values, read.extra) == whole.canonical
    assert json.loads(row)["processing_time"] == NOW


@pytest.mark.parametrize("codec", CODECS)
@given(key=st.none() | KEYS, document=near_events() | VALUES)
def test_any_json_is_an_event_or_a_dead_letter(
    codec: Codec, key: bytes | None, document: Any
) -> None:
    total(codec, key, json.dumps(document).encode())


@pytest.mark.parametrize("codec", CODECS)
@given(key=st.none() | st.binary(), value=st.none() | st.binary())
@example(key=b"[" * 100_000, value=None)
@example(key=b"1", value=b"[" * 100_000)
@example(key=b"1", value=b'{"schema":{},"payload":' + b"[" * 100_000)
def test_any_bytes_are_an_event_or_a_dead_letter(
    codec: Codec, key: bytes | None, value: bytes | None
) -> None:
    total(codec, key, value)
    codec.keys.read_output(key)
    assert value is None or codec.read_row(value) is None or value.startswith(b"{")


@pytest.mark.parametrize("codec", CODECS)
@given(document=near_events() | VALUES)
def test_any_json_is_a_row_or_none(codec: Codec, document: Any) -> None:
    codec.state_from_record(json.dumps(document).encode(), (), 0)
