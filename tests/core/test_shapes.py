"""An event in another envelope or form is refused, and the setting that it needs is named."""

import json
import random
from base64 import b64encode
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.entity import Entity
from dedup.core.shapes import foreign_shape
from dedup.entities.product import PRODUCT
from tests.core.orders import (
    DEBEZIUM,
    DEBEZIUM_ORDER,
    EPOCH_ORDER,
    FLAT,
    ORDER,
    WRAPPED,
    debezium,
    flat,
    wrapped,
)
from tests.core.records import EVENT, TOKENS, event_json

JSON: Final = event_json()
ROW: Final = EVENT["product"]
KEYS: Final = {PRODUCT: b"1", WRAPPED: b"AB-1", FLAT: b'"AB-1"', DEBEZIUM: b'"AB-1"'}
CODECS: Final = {entity: Codec(entity) for entity in KEYS}
MYSQL: Final = {"before": None, "after": ROW, "op": "c", "source": {"ts_ms": 1701426600123}}
ENTITY: Final = "in the entity that DEDUP_ENTITY names"


def refused(entity: Entity, value: bytes | None, key: bytes | None = None) -> DeadLetter:
    read = CODECS[entity].read(key or KEYS[entity], value)
    assert isinstance(read, DeadLetter)
    return read


def with_payload(**changes: Any) -> dict[str, Any]:
    return {"at": 1701426600123, "action": "created", "order": {**ORDER, **changes}}


ENVELOPES: Final = {
    "Debezium, not the product's": (PRODUCT, MYSQL, "set envelope=Debezium() " + ENTITY),
    "Debezium, with its schema": (
        FLAT,
        {"schema": {"type": "struct"}, "payload": MYSQL},
        "set envelope=Debezium() " + ENTITY,
    ),
    "Debezium, empty": (
        WRAPPED,
        {"before": None, "after": {}, "op": "c", "source": {}},
        "set envelope=Debezium()",
    ),
    "a row for a wrapped product": (PRODUCT, ROW, "set envelope=Flat(time=...) " + ENTITY),
    "a row for a wrapped order": (WRAPPED, ORDER, "set envelope=Flat(time=...)"),
    "a row for Debezium": (DEBEZIUM, EPOCH_ORDER, "set envelope=Flat(time=...)"),
    "wrapped for Debezium": (
        DEBEZIUM,
        {"at": 1, "order": ORDER},
        "The row looks to be in 'order': set envelope=Wrapped(payload='order', ...)",
    ),
    "wrapped for a row": (FLAT, {"at": 1, "order": ORDER}, "envelope=Wrapped(payload='order', ..."),
    "in another member": (
        PRODUCT,
        {**{n: EVENT[n] for n in ("event_id", "action", "timestamp")}, "data": ROW},
        "in 'data', not in 'product': set envelope=Wrapped(payload='data', ...)",
    ),
    "CloudEvents": (
        PRODUCT,
        {
            "specversion": "1.0",
            "id": "A-1",
            "source": "/shop",
            "type": "com.shop.updated",
            "time": "2023-12-01T10:30:00Z",
            "datacontenttype": "application/json",
            "data": ROW,
        },
        "set envelope=Wrapped(payload='data', time='time', event_id='id', action='type')",
    ),
    "Kafka Connect": (
        FLAT,
        {"schema": {"type": "struct", "fields": []}, "payload": EPOCH_ORDER},
        "set value.converter.schemas.enable=false",
    ),
    "a heartbeat": (PRODUCT, {"ts_ms": 1701426600123}, "a heartbeat of Debezium"),
    "a transaction": (
        DEBEZIUM,
        {"status": "BEGIN", "id": "571", "event_count": None, "data_collections": None},
        "set KAFKA_PRODUCT_TOPIC to the topic of a table",
    ),
    "JSON in JSON": (
        PRODUCT,
        JSON.decode(),
        "encoded twice: check the producer's value.serializer",
    ),
    "JSON as bytes in JSON": (
        PRODUCT,
        b64encode(JSON).decode(),
        "JSON in Base64: check the producer's value.serializer",
    ),
    "a row as text": (
        WRAPPED,
        {**with_payload(), "order": json.dumps(ORDER)},
        "'order' is a text of JSON, which was encoded twice",
    ),
    "a list": (FLAT, [EPOCH_ORDER, EPOCH_ORDER], "a list of 2: send a record for each event"),
    "null": (FLAT, None, "to delete a row, send a record without a value"),
    "orders for products": (PRODUCT, ORDER, "is KAFKA_PRODUCT_TOPIC the right topic"),
    "products for rows of orders": (FLAT, EVENT, "and DEDUP_ENTITY the right entity?"),
}


@pytest.mark.parametrize(("entity", "document", "hint"), ENVELOPES.values(), ids=ENVELOPES)
def test_an_event_in_another_envelope_names_the_setting(
    entity: Entity, document: object, hint: str
) -> None:
    letter = refused(entity, json.dumps(document).encode())
    assert letter.reason is Reason.INVALID_EVENT
    assert hint in letter.message


def product_with(**changes: str) -> bytes:
    return event_json({name.replace("__", "."): token for name, token in changes.items()})


def changed(document: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({**document, **changes}).encode()


def change_of(**changes: Any) -> bytes:
    return json.dumps({**MYSQL, "after": {**DEBEZIUM_ORDER, **changes}}).encode()


IN_MODEL: Final = " " + ENTITY
FIELDS: Final = {
    "a time in ms": (
        PRODUCT,
        product_with(timestamp="1701426600123"),
        'timestamp looks like a time in ms: set unit="ms" of the envelope in the entity',
    ),
    "a time in s": (PRODUCT, product_with(timestamp="1701426600"), 'set unit="s" of the envelope'),
    "a field in us": (
        PRODUCT,
        product_with(product__created_at="1701426600123456"),
        'created_at is a number: annotate it as Annotated[datetime, Epoch("us")]' + IN_MODEL,
    ),
    "a text for a unit": (
        WRAPPED,
        changed(with_payload(), at="2023-12-01T10:30:00Z"),
        "at is a text: leave out unit of the envelope",
    ),
    "a text for Epoch": (
        FLAT,
        changed(EPOCH_ORDER, updated_at="2023-12-01T10:30:00Z"),
        "updated_at is a text: annotate it as datetime" + IN_MODEL,
    ),
    "another unit than that of Epoch": (
        FLAT,
        changed(EPOCH_ORDER, updated_at=1701426600123456),
        'Annotated[datetime, Epoch("us")]',
    ),
    "days": (
        WRAPPED,
        json.dumps(with_payload(placed=19692)).encode(),
        "placed is a number: annotate it as Annotated[date, EpochDays()]",
    ),
    "a date for days": (FLAT, changed(EPOCH_ORDER, placed="2023-12-01"), "annotate it as date "),
    "text as id": (
        PRODUCT,
        product_with(product__product_id='"AB-1"'),
        "product_id is a text: annotate it as str" + IN_MODEL,
    ),
    "number as id": (
        FLAT,
        changed(EPOCH_ORDER, order_id=7),
        "order_id is a number: annotate it as int" + IN_MODEL,
    ),
    "JSON as text": (
        FLAT,
        changed(EPOCH_ORDER, attributes='{"a":1}'),
        "attributes is a text: annotate it as Annotated[..., JsonText()]",
    ),
    "precise decimals": (
        DEBEZIUM,
        change_of(total="BNI="),
        "decimal.handling.mode=string in the connector, or annotate it as Annotated[Decimal, Decim",
    ),
    "decimals with a scale each": (
        DEBEZIUM,
        change_of(total={"scale": 2, "value": "BNI="}),
        "Annotated[Decimal, DecimalBytes(), ...]",
    ),
    "a time of Debezium": (
        DEBEZIUM,
        change_of(updated_at="2023-12-01T10:30:00Z"),
        "updated_at is a text: annotate it as datetime",
    ),
}


@pytest.mark.parametrize(("entity", "value", "hint"), FIELDS.values(), ids=FIELDS)
def test_a_value_in_another_form_names_the_annotation(
    entity: Entity, value: bytes, hint: str
) -> None:
    letter = refused(entity, value)
    assert letter.reason is Reason.INVALID_EVENT
    assert hint in letter.message


@pytest.mark.parametrize(
    ("entity", "key", "value", "hint"),
    [
        (PRODUCT, b'{"product_id":1}', JSON, f' It is one as JSON: set key="json" {ENTITY}.'),
        (PRODUCT, b'{"product_id":1}', None, f' It is one as JSON: set key="json" {ENTITY}.'),
        (WRAPPED, b'"AB-1"', json.dumps(with_payload()).encode(), 'set key="json"'),
        (DEBEZIUM, b"AB-1", change_of(), 'It is one as text: set key="text"'),
        (PRODUCT, (1).to_bytes(8, "big"), JSON, "in binary: set the producer's key.serializer"),
        (PRODUCT, (1).to_bytes(4, "big"), JSON, "in binary: set the producer's key.serializer"),
        (PRODUCT, b"\x00\x00\x00\x00\x05\x02", JSON, "Avro of a schema registry"),
    ],
)
def test_a_key_in_another_form_names_the_setting(
    entity: Entity, key: bytes, value: bytes | None, hint: str
) -> None:
    letter = refused(entity, value, key)
    assert letter.reason is Reason.KEY_MISMATCH
    assert hint in letter.message


@pytest.mark.parametrize("key", [b"2", b"x", b'{"product_id":2}', b"\x00", b"\x00\x00\x00\x02"])
def test_a_key_of_another_row_gets_no_hint(key: bytes) -> None:
    letter = refused(PRODUCT, JSON, key)
    assert letter.message.endswith("but its product_id is 1.")


def test_what_is_quoted_of_an_event_is_short_and_harmless() -> None:
    name = "\ud800\x1b[2J" + "x" * 1_000
    said = foreign_shape({name: {"order_id": "AB-1"}}, FLAT)
    assert said is not None
    assert said.isprintable()
    assert len(said) < 300


GENERATORS: Final = [(WRAPPED, wrapped), (FLAT, flat), (DEBEZIUM, debezium)]


@pytest.mark.parametrize(("entity", "generate"), GENERATORS, ids=["wrapped", "flat", "debezium"])
def test_an_event_that_the_entity_takes_has_no_foreign_shape(entity: Entity, generate: Any) -> None:
    draw, taken = random.Random(7), 0
    for _ in range(3_000):
        value = generate(draw).encode()
        if not isinstance(CODECS[entity].read(KEYS[entity], value), DeadLetter):
            taken += 1
            assert foreign_shape(json.loads(value), entity) is None
    assert taken > 300


@given(st.sampled_from([n for n in ROW if n != "created_at"]), st.sampled_from(TOKENS))
def test_a_wrong_value_in_the_entity_s_own_envelope_is_no_foreign_shape(
    name: str, token: str
) -> None:
    value = event_json({f"product.{name}": token})
    read = CODECS[PRODUCT].read(b"1", value)
    if isinstance(read, DeadLetter) and read.reason is Reason.INVALID_EVENT:
        assert "This looks like" not in read.message
        assert "envelope" not in read.message
        assert "KAFKA_PRODUCT_TOPIC" not in read.message
