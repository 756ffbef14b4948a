"""A value that is not JSON in UTF-8 is refused, and what it looks like is named."""

import gzip
from base64 import b64encode
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.encodings import foreign_encoding
from dedup.core.entity import Entity
from dedup.entities.product import PRODUCT
from tests.core.orders import DEBEZIUM, FLAT, WRAPPED
from tests.core.records import EVENT, event_json, mutated_events

JSON: Final = event_json()
KEYS: Final = {PRODUCT: b"1", WRAPPED: b"AB-1", FLAT: b'"AB-1"', DEBEZIUM: b'"AB-1"'}
CODECS: Final = {entity: Codec(entity) for entity in KEYS}
PROTOBUF: Final = b"\n\x04AB-1\x12\x04open\x18\x05"
BODY: Final = b"\x02\x14Laptop Pro\x0e1299.99"
FORMATS: Final = {
    "Avro of a registry": (b"\x00\x00\x00\x01\x2c" + BODY, "schema registry (schema 300)"),
    "Protobuf of a registry": (b"\x00\x00\x00\x00\x07\x00" + PROTOBUF, "value.serializer"),
    "JSON of a registry": (b"\x00\x00\x00\x00\x09" + JSON, "looks like JSON after a header"),
    "a file of Avro": (b"Obj\x01\x04\x14avro.codec", "a file of Avro"),
    "gzip": (gzip.compress(JSON), "compressed by gzip: leave that to the producer's compression.t"),
    "Zstandard": (b"\x28\xb5\x2f\xfd\x24\x0d\x69\x00\x00", "compressed by Zstandard"),
    "MessagePack": (msgspec.msgpack.encode(EVENT), "MessagePack"),
    "Protobuf": (PROTOBUF, "Protobuf"),
    "Java": (b"\xac\xed\x00\x05sr\x00\x10com.shop.Product", "a serialized Java object"),
    "UTF-16": (JSON.decode().encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (JSON.decode().encode("utf-16-le"), "UTF-16"),
    "UTF-16, big end first": (JSON.decode().encode("utf-16-be"), "UTF-16"),
    "UTF-32": (JSON.decode().encode("utf-32-le"), "UTF-32"),
    "a mark": (JSON.decode().encode("utf-8-sig"), "byte order mark"),
    "Latin-1": (
        event_json({"product.description": '"Café"'}).decode().encode("latin-1"),
        "Latin-1",
    ),
    "Base64": (b64encode(JSON), "JSON in Base64"),
    "Python": (str(EVENT).encode(), "a Python dict"),
    "XML": (b'<?xml version="1.0"?><product id="1"/>', "XML"),
    "lines": (JSON + b"\n" + JSON + b"\n", "send a record for each event"),
    "nothing": (b"", "to delete a row, send a record without a value"),
    "white space": (b" \n", "to delete a row, send a record without a value"),
}


@pytest.mark.parametrize(("value", "hint"), FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("entity", [PRODUCT, DEBEZIUM], ids=lambda entity: entity.name)
def test_a_value_in_another_format_names_the_format(
    entity: Entity, value: bytes, hint: str
) -> None:
    letter = CODECS[entity].read(KEYS[entity], value)
    assert isinstance(letter, DeadLetter)
    assert letter.reason is Reason.INVALID_JSON
    assert letter.message.startswith("The value is not JSON in UTF-8: ")
    assert hint in letter.message


@pytest.mark.parametrize("value", [b"{", b"{broken", b"nonsense", JSON[:-1], JSON + b"}", b"[1,"])
def test_broken_json_gets_no_hint(value: bytes) -> None:
    assert foreign_encoding(value) is None


@given(mutated_events())
def test_an_event_that_the_entity_takes_is_in_no_foreign_format(value: bytes) -> None:
    if not isinstance(CODECS[PRODUCT].read(b"1", value), DeadLetter):
        assert foreign_encoding(value) is None


STARTS: Final = st.sampled_from([value[:6] for value, _ in FORMATS.values()]) | st.just(b"{")


@given(STARTS, st.binary(max_size=40))
def test_any_bytes_have_a_hint_or_none(start: bytes, rest: bytes) -> None:
    hint = foreign_encoding(start + rest)
    assert hint is None or hint.endswith((".", "?"))
    for entity, key in KEYS.items():
        CODECS[entity].read(key, start + rest)
        CODECS[entity].read(start + rest, JSON)
