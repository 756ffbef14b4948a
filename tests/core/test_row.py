"""Rows, headers and keys of `src_products` are read back as written, and so are those of Flink."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.codec import Whole
from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import Position, decide
from dedup.core.normal_event import EventKind
from dedup.core.rows import Row, Rows
from dedup.core.state import (
    NO_EVENT_TIME,
    UNKNOWN_SOURCE,
    State,
)
from tests.core.histories import MANY
from tests.core.records import TOKENS, event_json, mutated_events
from tests.core.runs import CLOCK, NOW_MS
from tests.support.products import CODEC, ROW_FIELDS, read_product, rules

ROWS = Rows(CODEC.entity, keep_unknown=False)


def plain(row: bytes) -> Row | None:
    """A row as the fast path reads it; None when it leaves it to pydantic."""
    return ROWS._read_plain(row)


def by_pydantic(row: bytes) -> Row | None:
    return ROWS._read_any(row)


def state_of(value: bytes) -> State | None:
    """The state after an event that is all that is known of product 1."""
    return decide(CODEC.read(b"1", value), None, Position(3, 17), CLOCK, rules()).state


def row_of(value: bytes) -> bytes:
    state = state_of(value)
    assert state is not None
    assert state.row is not None
    return state.row


def test_a_row_has_the_fields_and_forms_of_the_design() -> None:
    value = event_json({"timestamp": '"2023-12-01T12:30:00+02:00"', "product.discount": "1e1"})
    assert row_of(value) == (
        b'{"product_id":1,"product_name":"Laptop Pro","description":"High-performance laptop",'
        b'"price":"1299.99","stock_quantity":25,"discount":"10.00",'
        b'"created_at":"2023-12-01T09:00:00.000000Z","updated_at":"2023-12-01T10:30:00.123456Z",'
        b'"last_event_id":"evt_1_1640995200_1234","last_action":"updated",'
        b'"last_event_timestamp":"2023-12-01T10:30:00.000000Z","last_old_price":"1199.99",'
        b'"processing_time":"2025-11-24T16:00:00.123000Z"}'
    )


def test_what_an_event_lacks_has_its_default_in_the_row() -> None:
    lacking = ("description", "stock_quantity", "discount", "created_at", "updated_at")
    changes = {f"product.{field}": None for field in lacking}
    row = json.loads(row_of(event_json({**changes, "old_price": None, "action": '"created"'})))
    assert [row[field] for field in lacking] == [None, 0, "0.00", None, None]
    assert row["last_old_price"] is None


@given(value=mutated_events())
@MANY
def test_a_row_is_read_back_to_its_product(value: bytes) -> None:
    event = CODEC.read(b"1", value)
    if not isinstance(event, DeadLetter) and event.kind is EventKind.UPSERT:
        whole = CODEC.whole(event, None)
        assert isinstance(whole, Whole)
        row = CODEC.row(event, whole, CLOCK.text)
        assert CODEC.read_row(row) == Row(event.values, {}, event.time)


ROW = b"""{"product_id":1,"product_name":"Lamp","description":null,"price":"10.00",
"stock_quantity":25,"discount":"0.00","created_at":null,"updated_at":"2023-12-01T10:30:00.123000Z",
"last_event_id":"e","last_action":"updated","last_event_timestamp":"2023-12-01T10:30:00.123000Z",
"last_old_price":"9.50","processing_time":"2023-12-01T10:30:01.000000Z"}"""


def test_a_row_in_the_plain_form_is_read_by_the_plain_reader() -> None:
    """The fast path is taken: else the tests of it would hold for nothing."""
    for row in (ROW, row_of(event_json())):
        assert plain(row) is not None
        assert plain(row) == by_pydantic(row)


@pytest.mark.parametrize("field", [*ROW_FIELDS, "extra"])
def test_the_readers_of_rows_agree_on_every_change_of_one_value(field: str) -> None:
    members = {name: json.dumps(value) for name, value in json.loads(ROW).items()}
    for token in (None, *TOKENS):
        changed = {**members, field: token}
        row = "{" + ",".join(f'"{name}":{t}' for name, t in changed.items() if t is not None) + "}"
        found = plain(row.encode())
        assert found is None or found == by_pydantic(row.encode()), row[:400]


@given(data=st.binary(max_size=4), at=st.integers(0, len(ROW)), over=st.integers(0, 3))
@MANY
def test_the_plain_reader_of_rows_knows_nothing_or_exactly_what_the_model_says(
    data: bytes, at: int, over: int
) -> None:
    row = ROW[:at] + data + ROW[at + over :]
    found = plain(row)
    assert found is None or found == by_pydantic(row)


FLINK_ROW = (
    b'{"product_id":1,"product_name":"Lamp","description":null,"price":%b,"stock_quantity":25,'
    b'"discount":%b,"created_at":"2023-12-01 09:00:00","updated_at":"2023-12-01 10:30:00.123Z",'
    b'"last_event_id":"e","last_action":"updated",'
    b'"last_event_timestamp":%b,"last_old_price":%b,"processing_time":"2023-12-01 10:30:01Z"}'
)
OURS = event_json(
    {
        "product.product_name": '"Lamp"',
        "product.description": None,
        "product.price": '"10.00"',
        "product.updated_at": '"2023-12-01T10:30:00.123Z"',
    }
)


@pytest.mark.parametrize("price", [b"1E+1", b"10", b"10.0", b"10.00", b'"10.00"'])
@pytest.mark.parametrize("discount", [b"0", b"0.00", b"0E-2", b"null", b'"0.00"'])
def test_a_row_that_flink_wrote_is_the_same_product(price: bytes, discount: bytes) -> None:
    row = FLINK_ROW % (price, discount, b'"2023-12-01 10:30:00.123"', b"9.5")
    ours = state_of(OURS)
    assert ours is not None
    assert ours.row is not None
    assert read_product(row) == read_product(ours.row)
    assert CODEC.state_from_record(row, [], NOW_MS) == State(
        fingerprint=ours.fingerprint,
        event_time=1_701_426_600_123_000,
        partition=UNKNOWN_SOURCE,
        offset=UNKNOWN_SOURCE,
        emitted_at=NOW_MS * 1000,
        duplicates=0,
        row=row,
    )


def test_a_flink_row_without_an_event_time_is_older_than_any_event() -> None:
    """Flink's timestamp type reads no `+00:00`: there it is null without an error."""
    state = CODEC.state_from_record(FLINK_ROW % (b"10", b"0", b"null", b"null"), [], NOW_MS)
    assert state is not None
    assert state.event_time == NO_EVENT_TIME
    event = event_json({"timestamp": '"0001-01-01T00:00:00Z"'})
    decision = decide(CODEC.read(b"1", event), state, Position(0, 0), CLOCK, rules())
    assert decision.outcome == "change"


@pytest.mark.parametrize(
    "row",
    [
        *(b"", b"junk", b"[]", b"{}", b"null", b"\xff", b'"x"', b"[" * 100_000),
        FLINK_ROW % (b"NaN", b"0", b"null", b"null"),
        FLINK_ROW % (b"-1", b"0", b"null", b"null"),
        FLINK_ROW % (b"null", b"0", b"null", b"null"),
        FLINK_ROW % (b"1e999999999999999999999", b"0", b"null", b"null"),
        FLINK_ROW % (b"10", b"0", b'"yesterday"', b"null"),
    ],
    ids=lambda row: repr(row[:12] + row[75:100]),
)
def test_a_row_that_can_t_be_read_is_none(row: bytes) -> None:
    assert read_product(row) is None
    assert CODEC.state_from_record(row, [], NOW_MS) is None


@given(product_id=st.integers(1, 2**63 - 1))
@MANY
def test_a_key_is_read_back_in_both_formats(product_id: int) -> None:
    text = str(product_id).encode()
    assert CODEC.keys.write(product_id, "json") == b'{"product_id":%b}' % text
    assert CODEC.keys.write(product_id, "plain") == text
    assert CODEC.keys.read_output(CODEC.keys.write(product_id, "json")) == product_id
    assert CODEC.keys.read_output(CODEC.keys.write(product_id, "plain")) == product_id


@pytest.mark.parametrize(
    "key",
    [
        *(None, b"", b"x", b"null", b"true", b"0", b"-1", b"1.0", b'"1"', b"01", b"[1]", b"{}"),
        *(b"9223372036854775808", b"1" * 400, b'{"product_id":null}', b'{"product_id":true}'),
        *(b'{"product_id":"1"}', b'{"product_id":0}', b'{"id":1}', b"\xff", b"[" * 5000, b'{"a"'),
    ],
    ids=lambda key: repr(key)[:30],
)
def test_a_key_that_is_none_of_ours_is_none(key: bytes | None) -> None:
    assert CODEC.keys.read_output(key) is None


@given(key=st.binary())
@MANY
def test_any_key_bytes_are_read_or_not(key: bytes) -> None:
    product_id = CODEC.keys.read_output(key)
    assert product_id is None or (isinstance(product_id, int) and 0 < product_id < 2**63)
