"""Customers, the entity of the parity suite whose events are Debezium's."""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from dedup import Debezium, Entity, Epoch, EpochDays
from dedup.core.keys import Id
from tests.parity.cases import Event
from tests.parity.suite import Events

SETTING: Final = "tests.parity.customers:CUSTOMER"


class Customer(BaseModel):
    """A row of a table, in the forms that Debezium gives its columns."""

    id: int
    name: str
    credit: Annotated[Decimal, Field(max_digits=8, decimal_places=3)]
    born: Annotated[date | None, EpochDays()] = None
    created: Annotated[datetime | None, Epoch("us")] = None
    settings: dict[str, Any] | None = None


CUSTOMER: Final = Entity(
    name="customer", model=Customer, id="id", metadata=("created",), envelope=Debezium()
)

Make = Callable[..., Event]
_FIRST: Final = 1_767_261_600_000


def maker(row_id: int) -> Make:
    """Return a function that makes the next change event of a row, a second later unless said."""
    number = 0

    def make(
        op: str = "u",
        *,
        at: float | None = None,
        schema: bool = False,
        source: Mapping[str, Any] | None = None,
        **changed: Any,
    ) -> Event:
        nonlocal number
        number += 1
        ms = _FIRST + int(1000 * (number if at is None else at))
        row = {"id": row_id, "name": "Ann", "credit": "1.500", "born": 10_000, **changed}
        row = {"created": 1_700_000_000_000_005, "settings": '{"a": [1, 2.50]}', **row}
        event: Any = {
            "before": row if op == "d" else None,
            "after": None if op == "d" else row,
            "op": op,
            "source": {"ts_ms": ms} if source is None else source,
            "ts_ms": ms + 50,
        }
        key: Any = {"id": row_id}
        if schema:
            event, key = {"schema": None, "payload": event}, {"schema": None, "payload": key}
        return json.dumps(key).encode(), json.dumps(event).encode()

    return make


def _bare(key: bytes) -> bytes:
    document = json.loads(key)
    return str(document.get("payload", document)["id"]).encode()


CASES: Final[Mapping[str, Callable[[Make], list[Event]]]] = {
    "c, u, u": lambda e: [e("c"), e(), e(name="Bob"), e(name="Bob")],
    "a snapshot again": lambda e: [e("r"), e("r"), e("r", credit="1.5")],
    "deleted and created": lambda e: [e("c"), e("d"), e("d"), e("c"), e()],
    "late": lambda e: [e(at=5), e(name="Bob", at=4), e(name="Eve", at=5)],
    "a late delete": lambda e: [e(at=5), e("d", at=4), e(at=6, name="Bob")],
    "finer times": lambda e: [
        e(source={"ts_ms": 1_000, "ts_us": 1_000_002, "ts_ns": 1_000_002_900}),
        e(name="Bob", source={"ts_ms": 1_000, "ts_us": 1_000_001}),
        e(name="Eve", source={"ts_ms": 1_000, "ts_ns": 1_000_003_000}),
        e(name="Kim", source={"ts_ms": None}),
    ],
    "dates, times and JSON": lambda e: [
        e(born=-1, created=-1, settings="{}"),
        e(born=None, created=0, settings=None),
        e(born=0, created=None, settings='{"b":{"c":"ä"}}'),
        e(settings="[]"),
        e(settings="{"),
    ],
    "created is no content": lambda e: [e(), e(created=1), e(created=None)],
    "unknown operations": lambda e: [e(), e("x", name="Bob"), e("t", name="Eve")],
    "wrong keys": lambda e: [e(), (b'{"id":0}', e(name="Bob")[1]), (b"x", e(name="Eve")[1])],
    "forms of the key": lambda e: [
        (_bare(e()[0] or b""), e(name=name)[1]) for name in ("Ann", "Bob", "Bob")
    ],
}


def make_events() -> Events:
    """Return the named cases, each once with the schema in its events and once without."""
    events: list[Event] = []
    names: dict[Id, str] = {}
    for number, (name, make) in enumerate(CASES.items()):
        for with_schema in (False, True):
            row_id = 2 * number + with_schema
            plain = maker(row_id)
            events += make(lambda *a, e=plain, s=with_schema, **k: e(*a, schema=s, **k))
            names[row_id] = f"{name}{', with schema' if with_schema else ''}"
    return Events(events, names, 0)
