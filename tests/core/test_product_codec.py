"""The codec of PRODUCT and the readers made for products agree on every event.

`DEDUP_DIFFERENTIAL=200000` sets how many mutated events are compared; by default a few thousand.
"""

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter, Header
from dedup.core.decide import Position, ProcessingTime, Rules, decide
from dedup.core.event import STATE_FIELDS, Event
from dedup.core.fingerprint import FingerprintScheme, scheme_of
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.core.read import read_event, read_key
from dedup.core.row import encode_row, output_key, read_output_key, read_product, state_from_record
from dedup.entities.product import PRODUCT
from producer.events import EventGenerator, Mix
from tests.core.records import ADDED, PATHS, TOKENS, event_json, mutated_events
from tests.golden.files import golden

CODEC: Final = Codec(PRODUCT)
STRICT: Final = Codec(PRODUCT, unknown_actions="dead_letter")
SCHEME: Final = FingerprintScheme()
NOW: Final = "2026-01-01T00:00:00.000000Z"
KEYS: Final = (b"1", b"1", b"1", b"1", b"2", b"", b"01", b" 1", b"x", b'{"product_id":1}', None)
KNOWN_ROW: Final = (
    b'{"product_id":1,"product_name":"Old","description":null,"price":1E+1,"stock_quantity":null,'
    b'"discount":0.5,"created_at":"2023-12-01 09:00:00","last_event_timestamp":null}'
)


def agree(key: bytes | None, value: bytes | None) -> str:
    """Hold both against each other on one record; return what it was."""
    old, said = read_event(key, value), CODEC.read(key, value)
    recognised = CODEC.recognise(key, value, NOW)
    if isinstance(old, DeadLetter):
        assert isinstance(said, DeadLetter), (key, value)
        assert (said.reason, recognised) == (old.reason, None)
        assert said.message.startswith(old.message)
        return old.reason
    assert isinstance(said, NormalEvent), (key, value, said)
    assert (said.id, said.time) == (old.product_id, old.event_time)
    if old.action == "deleted":
        assert (said.kind, recognised) == (EventKind.DELETE, None)
        return "deleted"
    assert said.kind is not EventKind.DELETE
    for known in (None, KNOWN_ROW):
        same_row(old, said, known)
    if recognised is not None:
        whole = CODEC.whole(said, None)
        assert not isinstance(whole, DeadLetter)
        expected = (said.id, said.time, whole.canonical, CODEC.row(said, whole, NOW))
        assert recognised == expected
        assert said.kind is EventKind.UPSERT
        return "recognised"
    return said.kind


def same_row(old: Event, said: NormalEvent, known: bytes | None) -> None:
    """Hold what is decided today against what the codec completes: fingerprint and row."""
    state = None if known is None else state_from_record(known, (), 0, SCHEME)
    clock = ProcessingTime(0, NOW)
    decision = decide(old, state, Position(0, 1), clock, Rules(order="arrival"))
    whole = CODEC.whole(said, known)
    if decision.dead_letter is not None:
        assert whole == decision.dead_letter
        return
    assert not isinstance(whole, DeadLetter)
    assert decision.state is not None
    assert CODEC.fingerprint(whole.canonical) == decision.state.fingerprint
    if decision.outcome == "change":
        assert CODEC.row(said, whole, NOW) == decision.state.row


def mutated(events: int) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Records with members, tokens or bytes changed, by a seeded generator."""
    draw = random.Random(17)
    actions = ['"created"', '"updated"', '"price_changed"', '"deleted"', '"moved"']
    for _ in range(events):
        tokens = (None, *TOKENS)
        paths = draw.choices([*PATHS, *ADDED], k=draw.choice((0, 0, 1, 1, 2, 3)))
        changes: dict[str, Any] = {path: draw.choice(tokens) for path in paths}
        value: bytes | None = event_json({"action": draw.choice(actions), **changes})
        assert value is not None
        kind = draw.randrange(20)
        if kind == 0:
            at = draw.randrange(len(value))
            value = value[:at] + draw.randbytes(draw.randrange(3)) + value[at + 1 :]
        elif kind == 1:
            value = None
        elif kind == 2:
            value = value.replace(b",", b" ,\n ")
        yield draw.choice(KEYS), value


def test_both_agree_on_mutated_events() -> None:
    """Every way through is taken: else the agreement would say little."""
    events = int(os.environ.get("DEDUP_DIFFERENTIAL", "4000"))
    seen = {agree(key, value) for key, value in mutated(events)}
    assert seen >= {"recognised", "upsert", "partial", "deleted"}
    assert seen >= {"key_missing", "key_mismatch", "invalid_json", "invalid_event"}


@given(st.sampled_from(KEYS), mutated_events())
@example(b"1", event_json({"timestamp": '"2023-12-01T10:30:00.1234567891Z"'}))
@example(b"1", event_json({"product.created_at": '"2023-12-01T10:30:00.1234567891Z"'}))
@example(b"1", event_json({"product.discount": "null"}))
@example(b"1", event_json({"product.stock_quantity": "null"}))
def test_both_agree_on_any_event(key: bytes | None, value: bytes) -> None:
    agree(key, value)


@given(st.one_of(st.none(), st.binary()), st.one_of(st.none(), st.binary()))
def test_both_agree_on_any_bytes(key: bytes | None, value: bytes | None) -> None:
    agree(key, value)


def test_both_agree_on_what_the_producer_sends_and_the_fast_path_takes_it() -> None:
    times = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in count())
    generator = EventGenerator(5, lambda: next(times), Mix())
    ways = [agree(event.key, event.value) for event in islice(generator, 2000)]
    assert ways.count("recognised") > 1500


@pytest.mark.parametrize("file", golden("events"), ids=lambda file: file.name)
def test_golden_events_are_read_as_before(file: Any) -> None:
    said = CODEC.read(file.bytes("key"), file.bytes("value"))
    assert isinstance(said, NormalEvent)
    event = file.event
    assert (said.id, said.time) == (event.product_id, event.event_time)
    given_values = dict(zip(STATE_FIELDS, said.values[1:], strict=True))
    whole_new = event.action == "created"
    for field, value in given_values.items():
        expected = getattr(event.product, field)
        assert value == expected or (whole_new and expected is UNSET)
        assert value is None or not hasattr(value, "tzinfo") or value.tzinfo is UTC


@pytest.mark.parametrize("file", golden("records"), ids=lambda file: file.name)
def test_golden_records_are_recovered_as_before(file: Any) -> None:
    """With their headers and, as if a Flink job had written them, without."""
    row, timestamp_ms = file.bytes("value"), file.document["timestamp_ms"]
    assert CODEC.state_from_record(row, file.headers, timestamp_ms) == file.state
    headers: list[Header]
    for headers in (file.headers, []):
        state = state_from_record(row, headers, timestamp_ms, SCHEME)
        assert CODEC.state_from_record(row, headers, timestamp_ms) == state
    assert CODEC.keys.read_output(file.bytes("key")) == file.document["product_id"]


@given(mutated_events())
def test_both_agree_on_rows(value: bytes) -> None:
    """A row is read as before, in our form or anyone's."""
    read = read_event(b"1", value)
    row = value
    if isinstance(read, Event) and read.complete:
        row = encode_row(read, read.product, NOW)
    state = state_from_record(row, (), 0, SCHEME)
    assert CODEC.state_from_record(row, (), 0) == state
    known, ours = read_product(row), CODEC.read_row(row)
    assert (known is None) == (ours is None)
    if known is not None and ours is not None:
        assert ours.values == (known.product_id, *(getattr(known, f) for f in STATE_FIELDS))


@given(st.one_of(st.binary(max_size=24), st.sampled_from([b"1", b"0", b"-1", b"9" * 19])))
@example(b'{"product_id":7}')
@example(b'{"product_id":true}')
@example(b'{"product_id":0}')
@example(b"%d" % (2**63))
@example(b"%d" % (2**63 - 1))
@example(b"7.0")
def test_keys_are_read_as_before(key: bytes) -> None:
    assert CODEC.keys.read(key) == read_key(key)
    assert CODEC.keys.read_output(key) == read_output_key(key)


def test_keys_are_written_as_before() -> None:
    for row_id in (1, 17, 2**63 - 1):
        assert CODEC.keys.write(row_id, "json") == output_key(row_id, "json")
        assert CODEC.keys.write(row_id, "plain") == output_key(row_id, "plain")


@pytest.mark.parametrize("fields", [("price",), ("discount", "price"), PRODUCT.content])
def test_content_is_chosen_as_before(fields: tuple[str, ...]) -> None:
    codec, scheme = Codec(PRODUCT, fields), FingerprintScheme(fields)
    event, found = read_event(b"1", event_json()), codec.recognise(b"1", event_json(), NOW)
    assert isinstance(event, Event)
    assert found is not None
    assert codec.fingerprint(found[2]) == scheme.fingerprint(event.product)
    assert scheme_of(codec.prefix) == scheme


@pytest.mark.parametrize("fields", [(), ("product_id",), ("created_at",), ("x",)])
def test_another_choice_of_content_is_refused(fields: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="content fields are chosen from product_name, "):
        Codec(PRODUCT, fields)


def test_unknown_actions_are_refused_as_before() -> None:
    rules = Rules(unknown_actions="dead_letter")
    value = event_json({"action": '"moved"'})
    for key in (b"1", b"2"):
        decision = decide(
            read_event(key, value), None, Position(0, 1), ProcessingTime(0, NOW), rules
        )
        assert STRICT.read(key, value) == decision.dead_letter
    assert STRICT.recognise(b"1", value, NOW) is None
    assert STRICT.recognise(b"1", event_json(), NOW) is not None
