"""The codec of PRODUCT: the fast path and pydantic agree, and both with rows made by hand.

`DEDUP_DIFFERENTIAL=200000` sets how many mutated events are compared; by default a few thousand.
"""

import json
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count, islice
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dedup.core.codec import Whole
from dedup.core.codecs import codec_for
from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.entities.product import PRODUCT
from producer.events import EventGenerator, Mix
from tests.core.agreement import NOW, agree
from tests.core.records import ADDED, PATHS, TOKENS, event_json, mutated_events
from tests.golden.files import Golden, golden
from tests.support.products import CODEC, CONTENT_FIELDS, STATE_FIELDS

STRICT: Final = codec_for(PRODUCT, unknown_actions="dead_letter")
KEYS: Final = (b"1", b"1", b"1", b"1", b"2", b"", b"01", b" 1", b"x", b'{"product_id":1}', None)
KNOWN_ROW: Final = (
    b'{"product_id":1,"product_name":"Old","description":null,"price":1E+1,"stock_quantity":null,'
    b'"discount":0.5,"created_at":"2023-12-01 09:00:00","last_event_timestamp":null}'
)
KNOWN: Final = {
    "product_name": "Old",
    "description": None,
    "price": "10.00",
    "stock_quantity": 0,
    "discount": "0.50",
    "created_at": "2023-12-01T09:00:00.000000Z",
    "updated_at": None,
}
DEFAULTS: Final = dict.fromkeys(STATE_FIELDS) | {"stock_quantity": 0, "discount": "0.00"}


def money(value: Any) -> str | None:
    return None if value is None else str(Decimal(value).quantize(Decimal("0.01")) + 0)


def utc_text(value: str | None) -> str | None:
    if value is None:
        return None
    time = datetime.fromisoformat(value.replace("z", "Z"))
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return f"{time.year:04d}{time.replace(tzinfo=None).isoformat(timespec='microseconds')[4:]}Z"


FORMS: Final[dict[str, Callable[[Any], Any]]] = {
    "price": money,
    "discount": lambda value: money(0 if value is None else value),
    "stock_quantity": lambda value: int(Decimal(value)),
    "created_at": utc_text,
    "updated_at": utc_text,
}


def row_by_hand(value: bytes, known: dict[str, Any]) -> dict[str, Any]:
    """Return the row after an event that is accepted, made with Python's own JSON and decimals."""
    document = json.loads(value, parse_float=Decimal)
    product = {
        name: document["product"][name] for name in STATE_FIELDS if name in document["product"]
    }
    given_values = {name: FORMS.get(name, lambda it: it)(v) for name, v in product.items()}
    return {
        "product_id": 1,
        **(DEFAULTS if document["action"] == "created" else known),
        **given_values,
        "last_event_id": document["event_id"],
        "last_action": document["action"],
        "last_event_timestamp": utc_text(document["timestamp"]),
        "last_old_price": money(document.get("old_price")),
        "processing_time": NOW,
    }


def judged(key: bytes | None, value: bytes | None) -> str:
    """Hold all three against each other on one record; return what it was."""
    way, said = agree(CODEC, key, value), CODEC.read(key, value)
    if isinstance(said, DeadLetter) or said.kind is EventKind.DELETE or value is None:
        return way
    for row, known in ((None, DEFAULTS), (KNOWN_ROW, KNOWN)):
        whole = CODEC.whole(said, row)
        if isinstance(whole, DeadLetter):
            assert whole.reason is Reason.PARTIAL_WITHOUT_STATE
            assert row is None
            assert {"product_name", "price"} - json.loads(value)["product"].keys()
            continue
        expected = row_by_hand(value, known)
        assert json.loads(CODEC.row(said, whole, NOW)) == expected
        assert json.loads(whole.canonical) == [expected[name] for name in CONTENT_FIELDS]
    return way


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


def test_all_agree_on_mutated_events() -> None:
    """Every way through is taken: else the agreement would say little."""
    events = int(os.environ.get("DEDUP_DIFFERENTIAL", "4000"))
    seen = Counter(judged(key, value) for key, value in mutated(events))
    assert {"recognised", "upsert", "partial", "delete"} <= seen.keys()
    assert {"key_missing", "key_mismatch", "invalid_json", "invalid_event"} <= seen.keys()
    assert seen["recognised"] > events / 20


@given(st.sampled_from(KEYS), mutated_events())
@example(b"1", event_json({"timestamp": '"2023-12-01T10:30:00.1234567891Z"'}))
@example(b"1", event_json({"product.created_at": '"2023-12-01T10:30:00.1234567891Z"'}))
@example(b"1", event_json({"product.discount": "null"}))
@example(b"1", event_json({"product.stock_quantity": "null"}))
def test_the_fast_path_and_pydantic_agree_on_any_event(key: bytes | None, value: bytes) -> None:
    agree(CODEC, key, value)


@given(st.one_of(st.none(), st.binary()), st.one_of(st.none(), st.binary()))
def test_the_fast_path_and_pydantic_agree_on_any_bytes(
    key: bytes | None, value: bytes | None
) -> None:
    agree(CODEC, key, value)


def test_the_fast_path_takes_what_the_producer_sends() -> None:
    times = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in count())
    generator = EventGenerator(5, lambda: next(times), Mix())
    ways = [agree(CODEC, event.key, event.value) for event in islice(generator, 2000)]
    assert ways.count("recognised") > 1500


@pytest.mark.parametrize(
    "file", [g for g in golden("records") if g.document["value"]], ids=lambda file: file.name
)
def test_a_record_of_ours_without_its_headers_gives_the_state_that_they_give(file: Golden) -> None:
    """As if a Flink job had written it: all but the source can be computed from the row."""
    row, timestamp_ms = file.bytes("value"), file.document["timestamp_ms"]
    state = CODEC.state_from_record(row, [], timestamp_ms)
    assert state is not None
    assert (state.fingerprint, state.event_time) == (file.state.fingerprint, file.state.event_time)
    assert (state.partition, state.offset, state.row) == (-1, -1, row)


_INTEGER: Final = re.compile(rb"[1-9][0-9]{0,18}")


def id_by_hand(key: bytes) -> int | None:
    return int(key) if _INTEGER.fullmatch(key) and int(key) < 2**63 else None


@given(st.one_of(st.binary(max_size=24), st.integers(-5, 2**64).map(lambda n: b"%d" % n)))
@example(b"%d" % (2**63))
@example(b"%d" % (2**63 - 1))
@example(b"7.0")
@example(b"1\n")
def test_keys_are_positive_integers_as_text(key: bytes) -> None:
    assert CODEC.keys.read(key) == id_by_hand(key)
    in_json = key.strip(b" \t\n\r")
    assert CODEC.keys.read_output(key) == id_by_hand(in_json)
    assert CODEC.keys.read_output(b'{"product_id":%b}' % key) == id_by_hand(in_json)


def test_an_unknown_action_is_refused_where_that_is_configured() -> None:
    value = event_json({"action": '"moved"'})
    said = STRICT.read(b"1", value)
    assert isinstance(said, NormalEvent)
    refused = STRICT.refused(said)
    assert refused is not None
    assert refused.reason is Reason.UNKNOWN_ACTION
    assert refused.message == (
        "The action 'moved' is not one of created, updated, price_changed, stock_updated, deleted."
    )
    assert CODEC.refused(said) is None
    assert STRICT.recognise(b"1", value, NOW) is None
    assert STRICT.recognise(b"1", event_json(), NOW) is not None
    other_key = STRICT.read(b"2", value)
    assert isinstance(other_key, DeadLetter)
    assert other_key.reason is Reason.KEY_MISMATCH


def test_a_whole_row_needs_no_known_one() -> None:
    said = CODEC.read(b"1", event_json())
    assert isinstance(said, NormalEvent)
    over_nothing, over_old = CODEC.whole(said, None), CODEC.whole(said, KNOWN_ROW)
    assert isinstance(over_nothing, Whole)
    assert over_nothing == over_old
