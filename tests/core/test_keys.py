"""Keys: those that name an id, those of rows, and the one that an event names."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from dedup.core.entity import Entity, Flat, Wrapped
from dedup.core.keys import Id, Keys, key_named_in
from dedup.entities.product import PRODUCT
from tests.core.orders import (
    DEBEZIUM,
    DEBEZIUM_ORDER,
    EPOCH_ORDER,
    FLAT,
    ORDER,
    SCHEMA,
    WRAPPED,
    document_of,
)
from tests.core.records import event_json

ROW: Final = document_of(DEBEZIUM_ORDER, {})
CREATED: Final = f'{{"before":null,"after":{ROW},"op":"c","source":{{"ts_ms":1}}}}'
DELETED: Final = f'{{"before":{ROW},"after":null,"op":"d","source":{{"ts_ms":1}}}}'


def wrapped(order_id: str) -> str:
    order = document_of(ORDER, {"order_id": f'"{order_id}"'})
    return f'{{"at":1,"order":{order}}}'


class Visit(BaseModel):
    """A row whose id is a UUID."""

    visit_id: UUID
    page: str


VISIT: Final = Entity(
    name="visit", model=Visit, id="visit_id", envelope=Wrapped(payload="visit", time="at")
)
UUID_TEXT: Final = "7d444840-9dc0-11d1-b245-5ffdce74fad2"


@pytest.mark.parametrize(
    ("entity", "event", "key"),
    [
        (PRODUCT, event_json().decode(), b"1"),
        (WRAPPED, wrapped("AB-1"), b"AB-1"),
        (WRAPPED, wrapped("é"), "é".encode()),
        (FLAT, document_of(EPOCH_ORDER, {}), b'"AB-1"'),
        (FLAT, document_of(EPOCH_ORDER, {"order_id": '"\\""'}), b'"\\""'),
        (DEBEZIUM, CREATED, b'"AB-1"'),
        (DEBEZIUM, DELETED, b'"AB-1"'),
        (DEBEZIUM, f'{{"schema":{SCHEMA},"payload":{CREATED}}}', b'"AB-1"'),
        (DEBEZIUM, f'{{"schema":null,"payload":{DELETED}}}', b'"AB-1"'),
    ],
    ids=str,
)
def test_an_event_names_its_key_in_every_envelope(entity: Entity, event: str, key: bytes) -> None:
    assert key_named_in(entity, event.encode()) == key
    assert Keys(entity).read(key) is not None


@pytest.mark.parametrize(
    "entity", [PRODUCT, WRAPPED, FLAT, DEBEZIUM], ids=lambda e: str(e.envelope)
)
@pytest.mark.parametrize(
    "event",
    [
        *(b"", b"{", b"[]", b"1", b"null", b'"x"', b"\xff", b"{}", b"[" * 100_000),
        *(b'{"product":null}', b'{"product":[]}', b'{"product":{"product_id":null}}'),
        *(b'{"product":{"product_id":true}}', b'{"product":{"product_id":[1]}}'),
        *(b'{"order":7}', b'{"order_id":null}', b'{"order_id":{}}', b'{"order_id":1.5}'),
        *(b'{"before":null,"after":null}', b'{"after":7}', b'{"schema":1,"payload":null}'),
        b'{"schema":{},"payload":{"after":{"order_id":null}}}',
    ],
    ids=lambda event: repr(event)[:30],
)
def test_an_event_without_an_id_names_no_key(entity: Entity, event: bytes) -> None:
    assert key_named_in(entity, event) == b""


@given(event=st.binary())
def test_any_bytes_name_a_key_or_none(event: bytes) -> None:
    for entity in (PRODUCT, WRAPPED, FLAT, DEBEZIUM):
        assert isinstance(key_named_in(entity, event), bytes)


@pytest.mark.parametrize("entity", [FLAT, DEBEZIUM], ids=["flat", "debezium"])
@pytest.mark.parametrize(
    "key",
    [
        b'"AB-1"',
        b' "AB-1" ',
        b'{"order_id":"AB-1"}',
        b'{ "order_id": "\\u0041B-1" }',
        b'{"schema":{"type":"string"},"payload":"AB-1"}',
        b'{"schema":null,"payload":{"order_id":"AB-1"}}',
    ],
)
def test_keys_in_json_name_one_id_in_every_form(entity: Entity, key: bytes) -> None:
    keys = Keys(entity)
    assert keys.read(key) == "AB-1"
    assert keys.names(key, "AB-1")
    assert not keys.names(key, "AB-2")
    assert keys.of_events("AB-1") is None


@pytest.mark.parametrize(
    "key",
    [
        *(b"", b"AB-1", b"1", b"null", b"true", b"[]", b'["AB-1"]', b"{}", b'{"id":"AB-1"}'),
        *(b'{"order_id":"AB-1","more":1}', b'{"order_id":1}', b'{"payload":"AB-1"}', b"\xff"),
        *(b'"' + b"x" * 21 + b'"', b'"\\u0000"', b"[" * 100_000),
    ],
    ids=lambda key: repr(key)[:30],
)
def test_another_key_names_no_order(key: bytes) -> None:
    assert Keys(FLAT).read(key) is None


def test_a_key_as_text_is_the_one_key_of_its_events() -> None:
    assert Keys(WRAPPED).of_events("AB-1") == b"AB-1"
    assert Keys(WRAPPED).read(b"AB-1") == "AB-1"
    assert Keys(WRAPPED).read(b'"AB-1"') == '"AB-1"'
    assert Keys(WRAPPED).read(b"\xff") is None
    assert Keys(PRODUCT).of_events(7) == b"7"


def test_a_uuid_is_one_id_in_every_form_of_its_key() -> None:
    keys = Keys(VISIT)
    for text in (UUID_TEXT, UUID_TEXT.upper(), UUID_TEXT.replace("-", "")):
        assert keys.read(text.encode()) == UUID_TEXT
        assert keys.names(text.encode(), UUID_TEXT)
    assert keys.of_events(UUID_TEXT) is None
    assert keys.read(b"7d444840") is None


@pytest.mark.parametrize(
    ("entity", "row_id", "in_json"),
    [
        (PRODUCT, 7, b'{"product_id":7}'),
        (FLAT, "AB-1", b'{"order_id":"AB-1"}'),
        (FLAT, 'é"{', '{"order_id":"é\\"{"}'.encode()),
        (FLAT, "7", b'{"order_id":"7"}'),
        (VISIT, UUID_TEXT, f'{{"visit_id":"{UUID_TEXT}"}}'.encode()),
    ],
    ids=str,
)
def test_the_key_of_a_row_is_read_back_in_both_forms(
    entity: Entity, row_id: Id, in_json: bytes
) -> None:
    keys = Keys(entity)
    assert keys.write(row_id, "json") == in_json
    assert keys.write(row_id, "plain") == str(row_id).encode()
    assert keys.read_output(keys.write(row_id, "json")) == row_id
    assert keys.read_output(keys.write(row_id, "plain")) == row_id


@given(
    row_id=st.text(
        st.characters(exclude_characters="\x00", exclude_categories=["Cs"]),
        min_size=1,
        max_size=20,
    )
)
def test_any_text_is_read_back_from_the_key_of_its_row(row_id: str) -> None:
    keys = Keys(FLAT)
    assert keys.read_output(keys.write(row_id, "json")) == row_id


class Slot(BaseModel):
    """A row whose id may be zero and below it, up to a limit."""

    slot_id: Annotated[int, Field(ge=-5, le=10**6)]
    at: datetime


class Pair(BaseModel):
    """A row whose id has a limit that pydantic alone knows."""

    pair_id: Annotated[int, Field(multiple_of=2)]
    at: datetime


SLOTS: Final = Entity(name="slot", model=Slot, id="slot_id", envelope=Flat(time="at"))
PAIRS: Final = Entity(name="pair", model=Pair, id="pair_id", envelope=Flat(time="at"))
NUMBERED: Final = [
    (PRODUCT, lambda n: 1 <= n < 2**63),
    (SLOTS, lambda n: -5 <= n <= 10**6),
    (PAIRS, lambda n: n % 2 == 0 and -(2**63) <= n < 2**63),
]
NUMBERS: Final = (
    st.integers(-20, 20)
    | st.integers(10**6 - 2, 10**6 + 2)
    | st.integers(2**63 - 2, 2**63 + 2)
    | st.integers(-(10**25), 10**25)
)


@pytest.mark.parametrize(("entity", "accepts"), NUMBERED, ids=["product", "slot", "pair"])
@given(
    number=NUMBERS,
    form=st.sampled_from(['{"%s":%s}', '{"%s": %s}', '{"%s":0%s}', '{"%s":+%s}', '{"%s":%s.0}'])
    | st.sampled_from(['{"%s":%s}}', '{"%s":%s', '{"%s":%s}\n', '{"%s":"%s"}', '{"%s":%s_0}']),
)
def test_a_numeric_key_is_read_as_strictly_as_any_json_is(
    entity: Entity, accepts: Callable[[int], bool], number: int, form: str
) -> None:
    key = form % (entity.id, number)
    try:
        wanted = json.loads(key)[entity.id]
    except ValueError:
        wanted = None
    if type(wanted) is not int or not accepts(wanted):
        wanted = None
    assert Keys(entity).read_output(key.encode()) == wanted


@pytest.mark.parametrize(("entity", "accepts"), NUMBERED, ids=["product", "slot", "pair"])
@given(number=NUMBERS)
def test_a_writer_writes_what_write_does(
    entity: Entity, accepts: Callable[[int], bool], number: int
) -> None:
    keys = Keys(entity)
    assert (
        keys.writer("json")(number)
        == json.dumps({entity.id: number}, separators=(",", ":")).encode()
        == keys.write(number, "json")
    )
    assert keys.writer("plain")(number) == b"%d" % number
    if accepts(number):
        assert keys.read_output(keys.write(number, "json")) == number
