"""Reading: limits, keys, normal forms, and that the fast path says what pydantic says."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.dead_letter import DeadLetter, Reason, dead_letter_headers
from dedup.core.decide import Position, decide
from dedup.core.normal_event import EventKind, NormalEvent
from tests.core.histories import MANY
from tests.core.records import ADDED, EVENT, PATHS, TOKENS, event_json, mutated_events, outcome
from tests.core.runs import CLOCK
from tests.support.products import (
    CODEC,
    ProductEvent,
    fingerprint,
    judged_by_pydantic,
    recognised,
    rules,
    seen,
)


@pytest.mark.parametrize("place", PATHS + ADDED)
def test_the_readers_agree_on_every_change_of_one_value(place: str) -> None:
    for token in (None, *TOKENS):
        value = event_json({place: token})
        plain = recognised(b"1", value)
        assert plain is None or plain == judged_by_pydantic(b"1", value), value[:400]


@given(value=mutated_events())
@MANY
def test_the_plain_reader_knows_nothing_or_exactly_what_the_model_says(value: bytes) -> None:
    plain = recognised(b"1", value)
    assert plain is None or plain == judged_by_pydantic(b"1", value)


@given(key=st.none() | st.binary(), value=st.none() | st.binary() | mutated_events())
@MANY
def test_reading_gives_a_value_for_any_bytes(key: bytes | None, value: bytes | None) -> None:
    assert isinstance(CODEC.read(key, value), (NormalEvent, DeadLetter))


@given(value=mutated_events())
@MANY
def test_what_can_be_read_can_be_decided_and_written(value: bytes) -> None:
    """Whatever passes the reader has a row, and whatever does not has headers."""
    read = CODEC.read(b"1", value)
    decision = decide(read, None, Position(0, 0), CLOCK, rules())
    if decision.dead_letter is not None:
        headers = dead_letter_headers(decision.dead_letter, topic="t", partition=0, offset=0)
        assert all(isinstance(text, bytes) for _, text in headers)
    elif decision.state is not None and decision.state.row is not None:
        assert json.loads(decision.state.row)["product_id"] == 1


def test_the_example_of_the_seed_is_read_by_the_fast_path() -> None:
    """Else every other test of it would hold for nothing."""
    time = 1_701_426_600_123_456
    product = EVENT["product"]
    content = [product[f] for f in ("product_name", "description", "price")] + [25, "0.00"]
    found = recognised(b"1", event_json())
    assert found is not None
    assert found[:2] == (1, time)
    assert json.loads(found[2]) == content
    assert CODEC.fingerprint(found[2]) == fingerprint(seen(CODEC.read(b"1", event_json())).product)


def test_the_example_of_the_seed_means_what_it_says() -> None:
    assert seen(CODEC.read(b"1", event_json())) == ProductEvent(
        product_id=1,
        action="updated",
        event_time=1_701_426_600_123_456,
        timestamp="2023-12-01T10:30:00.123456Z",
        event_id="evt_1_1640995200_1234",
        product={
            "product_name": "Laptop Pro",
            "description": "High-performance laptop",
            "price": "1299.99",
            "stock_quantity": 25,
            "discount": "0.00",
            "created_at": datetime(2023, 12, 1, 9, tzinfo=UTC),
            "updated_at": datetime(2023, 12, 1, 10, 30, 0, 123456, UTC),
        },
        complete=True,
        old_price="1199.99",
    )


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (b"1", "event"),
        (None, "key_missing"),
        (b"", "key_mismatch"),
        (b"2", "key_mismatch"),
        (b"01", "key_mismatch"),
        (b"+1", "key_mismatch"),
        (b" 1", "key_mismatch"),
        (b"1 ", "key_mismatch"),
        (b"1\n", "key_mismatch"),
        (b"1.0", "key_mismatch"),
        (b'{"product_id":1}', "key_mismatch"),
        (b'"1"', "key_mismatch"),
        ("\uff11".encode(), "key_mismatch"),
        (b"\xff", "key_mismatch"),
    ],
)
def test_the_key_is_the_product_id_as_text(key: bytes | None, reason: str) -> None:
    assert outcome(key, event_json()) == reason


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (b"1", "event"),
        (b"9223372036854775807", "event"),
        (None, "key_missing"),
        (b"9223372036854775808", "key_mismatch"),
        (b"1" * 5000, "key_mismatch"),
        (b"0", "key_mismatch"),
        (b"-1", "key_mismatch"),
        (b"01", "key_mismatch"),
        (b"+1", "key_mismatch"),
        (b"1_0", "key_mismatch"),
        (b" 1", "key_mismatch"),
        (b"", "key_mismatch"),
        (b'{"product_id":1}', "key_mismatch"),
        ("\uff11".encode(), "key_mismatch"),
    ],
)
def test_a_null_value_deletes_the_product_of_its_key(key: bytes | None, reason: str) -> None:
    assert outcome(key, None) == reason
    if reason == "event" and key is not None:
        read = CODEC.read(key, None)
        assert isinstance(read, NormalEvent)
        assert (read.id, read.kind, read.time) == (int(key), EventKind.DELETE, None)
        assert seen(read).product == {}


@pytest.mark.parametrize("place", [*EVENT["product"], "event_id", "action", "timestamp"])
def test_an_event_of_another_type_is_invalid_in_every_field(place: str) -> None:
    path = f"product.{place}" if place in EVENT["product"] else place
    assert outcome(b"1", event_json({path: '{"a":[1]}'})) == "invalid_event"


@pytest.mark.parametrize(
    "place", ["event_id", "action", "timestamp", "product", "product.product_id"]
)
def test_what_no_event_can_lack(place: str) -> None:
    assert outcome(b"1", event_json({place: None})) == "invalid_event"


def test_an_unknown_extra_field_may_hold_any_json() -> None:
    """Schema evolution: a reader of today reads the events of tomorrow."""
    for token in ("1e999999999999999999999", "1e400", '"\\ud800"', '{"a":[{}]}', "9" * 400):
        for place in ("extra", "product.extra"):
            assert outcome(b"1", event_json({place: token})) == "event"
            other_form = event_json({place: token, "product.price": "1299.99"})
            assert outcome(b"1", other_form) == "event"


@pytest.mark.parametrize("token", ["null", "1", '"later"', "{}"])
def test_the_form_of_a_price_does_not_decide_on_another_field(token: str) -> None:
    """`processed` is in the seed's event and in no rule."""
    plain = outcome(b"1", event_json({"processed": token}))
    assert outcome(b"1", event_json({"processed": token, "product.price": "1299.99"})) == plain


def test_a_created_event_needs_name_and_price() -> None:
    for field in ("product_name", "price"):
        value = event_json({"action": '"created"', f"product.{field}": None})
        assert outcome(b"1", value) == "invalid_event"
        assert outcome(b"1", event_json({f"product.{field}": None})) == "event"


def test_the_reason_says_whether_the_value_is_json_at_all() -> None:
    assert isinstance(CODEC.read(b"1", b"{"), DeadLetter)
    for value in (b"", b"{", event_json()[:-1], b"\xff", event_json().decode().encode("utf-16")):
        assert outcome(b"1", value) == Reason.INVALID_JSON
    for value in (b"[]", b"null", b"1", b'"text"', b"{}"):
        assert outcome(b"1", value) == Reason.INVALID_EVENT
