"""A second entity: orders, with a text id and a field of every kind, in each envelope."""

import json
import random
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from dedup.core.annotations import Epoch, EpochDays
from dedup.core.entity import Debezium, Entity, Flat, Wrapped
from tests.core.records import with_utf8

Money = Annotated[Decimal, Field(ge=-1000, le=10**6, max_digits=12, decimal_places=2)]


class Channel(StrEnum):
    """How an order came in."""

    WEB = "web"
    SHOP = "shop"


class Order(BaseModel):
    """A row of the orders table."""

    order_id: Annotated[str, Field(max_length=20)]
    status: Literal["open", "paid", "sent"]
    total: Money
    customer: UUID
    placed: date
    note: str | None = None
    code: Annotated[str, Field(pattern="^[A-Z]{2}$")] = "XX"
    channel: Channel | None = None
    is_gift: bool = False
    lines: list[Any] = []
    attributes: dict[str, Any] | None = None
    weight: Annotated[int, Field(ge=0, le=1000)] | None = None
    updated_at: datetime


class EpochOrder(Order):
    """An order whose times are numbers."""

    placed: Annotated[date, EpochDays()]
    updated_at: Annotated[datetime, Epoch("ms")]


WRAPPED: Final = Entity(
    name="order",
    model=Order,
    id="order_id",
    metadata=("updated_at",),
    envelope=Wrapped(
        payload="order",
        time="at",
        action="action",
        creates=("created",),
        deletes=("cancelled",),
        carries=("old_total",),
        unit="ms",
    ),
)
FLAT: Final = Entity(
    name="order",
    model=EpochOrder,
    id="order_id",
    metadata=("updated_at",),
    envelope=Flat(time="updated_at"),
    key="json",
)
DEBEZIUM: Final = Entity(
    name="order",
    model=EpochOrder,
    id="order_id",
    metadata=("updated_at",),
    envelope=Debezium(),
)

ORDER: Final[Mapping[str, Any]] = {
    "order_id": "AB-1",
    "status": "open",
    "total": "120.00",
    "customer": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
    "placed": "2023-12-01",
    "note": None,
    "code": "DE",
    "channel": "web",
    "is_gift": False,
    "lines": [{"sku": "a", "n": 1}],
    "attributes": {"b": 1, "a": [1, 2]},
    "weight": 5,
    "updated_at": "2023-12-01T10:30:00.123000Z",
}
EPOCH_ORDER: Final = {**ORDER, "placed": 19692, "updated_at": 1701426600123}
DEBEZIUM_ORDER: Final = {
    **EPOCH_ORDER,
    "lines": '[{"sku":"a","n":1}]',
    "attributes": '{"b":1,"a":[1,2]}',
}

TOKENS: Final = [
    *("null", "true", "false", "0", "-0", "1", "-1", "1.0", "1e0", "1e5", "01", "9" * 25, "1e400"),
    *('"1"', '"0.00"', '"-0.00"', '"-1000.00"', '"-1000.01"', '"1000000.00"', '"1000000.01"'),
    *('"12.5"', '"+12.50"', "12.50", "12.500", "12.505", '"1e1"', '""', '"x"', '"é"', '"AA"'),
    *('"aa"', '"AA\\n"', '"paid"', '"PAID"', '"shop"', '"\\ud800"', '"\\u0000"', '"\\\\u0000"'),
    *('"2023-12-01"', '"2023-02-29"', '"2023-12-01T00:00:00"', '"2023-12-01T10:30:00Z"'),
    *('"2023-12-01T10:30:00.1+01:00"', '"0001-01-01"', '"9999-12-31T23:59:59.999999-01:00"'),
    *("19692", "-719162", "-719163", "3000000", "1701426600123", "-62135596800000", "1e12", "1.5"),
    *("253402300799999", "253402300800000", "9223372036854775807", "9223372036854775808"),
    *('"7D444840-9DC0-11D1-B245-5FFDCE74FAD2"', '"7d4448409dc011d1b2455ffdce74fad2"', '"{x}"'),
    *('"7d444840-9dc0-11d1-b245-5ffdce74fad"', '"urn:uuid:7d444840-9dc0-11d1-b245-5ffdce74fad2"'),
    *("[]", "{}", "[1.0, 1e0, 10, 0.10]", '{"b":2,"a":{"z":1.50}}', '{"a":1,"a":2}', "[1e400]"),
    *('"[]"', '"{}"', '"[1.0]"', '"{"', '"null"', '"\\"x\\""', "[" * 900 + "]" * 900),
    *('["\\u0000"]', '["\\\\u0000"]', '{"\\ud800":1}', "[12345678901234567890123456789.10]"),
    *('"__debezium_unavailable_value"', f'"{"x" * 20}"', f'"{"x" * 21}"', '"c"', '"d"', '"u"'),
]


def document_of(order: Mapping[str, Any], changes: Mapping[str, str | None]) -> str:
    """Return a JSON object with tokens changed; None takes a member away."""
    tokens = {name: json.dumps(value) for name, value in order.items()} | dict(changes)
    return "{" + ",".join(f'"{n}":{t}' for n, t in tokens.items() if t is not None) + "}"


def changed(draw: random.Random, names: list[str]) -> dict[str, str | None]:
    """Return a few changes drawn at random."""
    chosen = draw.choices(names, k=draw.choice((0, 0, 1, 1, 2)))
    return {name: draw.choice((None, *TOKENS)) for name in chosen}


def wrapped(draw: random.Random) -> str:
    """Return a mutated event of `WRAPPED`."""
    action = draw.choice(['"created"', '"updated"', '"cancelled"', '"x"'])
    outer = {"at": "1701426600123", "action": action, "old_total": "null"}
    order = document_of(ORDER, changed(draw, [*ORDER, "unknown"]))
    return document_of({}, {**outer, "order": order, **changed(draw, [*outer, "order"])})


def flat(draw: random.Random) -> str:
    """Return a mutated event of `FLAT`."""
    return document_of(EPOCH_ORDER, changed(draw, [*EPOCH_ORDER, "unknown"]))


_NAMED: Final = {
    "placed": ("int32", "io.debezium.time.Date"),
    "updated_at": ("int64", "io.debezium.time.Timestamp"),
    "lines": ("string", "io.debezium.data.Json"),
    "attributes": ("string", "io.debezium.data.Json"),
}
SCHEMA: Final = json.dumps(
    {
        "type": "struct",
        "fields": [
            {
                "type": "struct",
                "field": "after",
                "fields": [
                    {"type": type_, "optional": True, "name": name, "field": field}
                    for field, (type_, name) in _NAMED.items()
                ],
            }
        ],
    },
    separators=(",", ":"),
)


def debezium(draw: random.Random) -> str:
    """Return a mutated event of `DEBEZIUM`, with a schema or without."""
    source = draw.choice(['{"ts_ms":1701426600123}', '{"ts_ms":1,"ts_us":2}', '{"ts_ns":3999}'])
    op = draw.choice(['"c"', '"u"', '"r"', '"d"', '"t"', '"m"'])
    after = document_of(DEBEZIUM_ORDER, changed(draw, [*DEBEZIUM_ORDER, "unknown"]))
    outer = {"before": "null", "after": after, "source": source, "op": op}
    event = document_of({}, {**outer, **changed(draw, [*outer])})
    return draw.choice([event, f'{{"schema":{SCHEMA},"payload":{event}}}'])


def mutated(entity: Entity, count: int, seed: int) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Return records of one of the entities above, changed at random by a seeded generator.

    There are `count`, and copies of a tenth of them with bytes of UTF-8, broken or not.
    """
    draw, placed = random.Random(seed), random.Random(seed)
    make = {id(WRAPPED): wrapped, id(FLAT): flat, id(DEBEZIUM): debezium}[id(entity)]
    text = [b"AB-1", b"AB-1", b"AB-1", b"", b"x", b'"AB-1"', b"\xff", None]
    in_json = [b'"AB-1"', b'{"order_id":"AB-1"}', b'{"schema":{},"payload":{"order_id":"AB-1"}}']
    in_json += [b'{"schema":null,"payload":"AB-1"}']
    keys = text if entity.key_form == "text" else [*in_json, *in_json, *text]
    for _ in range(count):
        value: bytes | None = make(draw).encode("utf-8", "surrogatepass")
        assert value is not None
        kind = draw.randrange(25)
        if kind == 0:
            at = draw.randrange(len(value))
            value = value[:at] + draw.randbytes(draw.randrange(3)) + value[at + 1 :]
        elif kind == 1:
            value = None
        elif kind == 2:
            value = value.replace(b",", b" ,\n ").replace(b":", b": ")
        key = draw.choice(keys)
        yield key, value
        if value is not None and placed.randrange(10) == 0:
            yield key, with_utf8(placed, value)
