"""Orders, the second entity of the parity suite: flat, with text ids and every kind of field."""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from random import Random
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from dedup import Entity, Epoch, Flat
from tests.parity.cases import Event
from tests.parity.suite import Events
from tests.parity.walks import interleaved

SETTING: Final = "tests.parity.orders:ORDER"


class Order(BaseModel):
    """An order. `content` and `late` are names that the SQL has for columns of its own."""

    order_id: Annotated[str, Field(min_length=1, max_length=64)]
    customer: str
    status: Literal["open", "paid", "it's sent"]
    total: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)]
    paid: bool = False
    late: Annotated[int, Field(ge=-10, le=10)] = 0
    content: Annotated[str | None, Field(max_length=5)] = None
    reference: UUID | None = None
    ordered_on: date | None = None
    shipped_at: datetime | None = None
    details: dict[str, Any]
    lines: list[Any] = []
    updated_at: Annotated[datetime, Epoch("ms")]


ORDER: Final = Entity(
    name="order",
    model=Order,
    id="order_id",
    metadata=("updated_at",),
    envelope=Flat(time="updated_at"),
)

_FIRST: Final = 1_767_261_600_000
Make = Callable[..., Event]
_Raw = str | None
"""A value as the text of its JSON; None: the event lacks the field."""

PLAIN: Final[Mapping[str, str]] = {
    "customer": '"Ann"',
    "status": '"open"',
    "total": '"10.00"',
    "paid": "false",
    "late": "1",
    "content": '"five"',
    "reference": '"7d444840-9dc0-11d1-b245-5ffdce74fad2"',
    "ordered_on": '"2026-01-01"',
    "shipped_at": '"2026-01-01T10:00:00.000000Z"',
    "details": '{"a":1,"b":[true,null]}',
    "lines": "[1]",
}

FORMS: Final[Mapping[str, tuple[_Raw, ...]]] = {
    "customer": ('""', '"Lämpchen 😀"', r'"La\u0308mpchen"', r'"\"\\,[]"', "null", None),
    "status": ('"paid"', '"it\'s sent"', '"unknown"', '""', "null", None),
    "total": (
        '"10"', "10", "10.0", "1e1", '"1e1"', "0", '"0.001"', '"-1"', "9999999999.99",
        '"10000000000"', '"ten"', '"NaN"', "null", None, '""', "0.10", "0.1",
    ),
    "paid": ("true", "1", "0", '"yes"', "2", None),
    "late": ("-10", "10", "11", "-11", "0", "2.5", '"x"', None),
    "content": ('"fives"', '"sixsix"', '"😀😀😀😀😀"', "null", None),
    "reference": (
        '"7D444840-9DC0-11D1-B245-5FFDCE74FAD2"', '"7d4448409dc011d1b2455ffdce74fad2"',
        '"7d444840-9dc0-11d1-b245-5ffdce74fad"', "null", None,
    ),
    "ordered_on": (
        '"2026-01-02"', '"2026-02-30"', '"2026-1-2"', '"2026-01-01T00:00:00"', "null", None,
    ),
    "shipped_at": (
        '"2026-01-01T12:00:00+02:00"', '"2026-01-01T10:00:00"', '"2026-01-01T10:00:00.5Z"',
        '"2026-02-30T10:00:00Z"', '"yesterday"', "null", None,
    ),
    "details": (
        '{"a":1,"b":[false,null]}', '{ "a" : 1, "b" : [ true , null ] }', "{}", "[]", '"x"', "1",
        '{"a":{"text":"\\"ä\\""}}', None,
    ),
    "lines": ("[]", "[1,2]", "{}", None),
}  # fmt: skip
"""Forms of each field beside the plain one: valid and invalid ones."""


def maker(order_id: str) -> Make:
    """Return a function that makes the next event of an order, a second later unless said."""
    number = 0

    def make(*, at: int | None = None, time: _Raw = None, **forms: _Raw) -> Event:
        nonlocal number
        number += 1
        members = {"order_id": json.dumps(order_id), **PLAIN, **forms}
        members["updated_at"] = time or str(_FIRST + 1000 * (number if at is None else at))
        text = ",".join(f'"{name}":{value}' for name, value in members.items() if value is not None)
        return order_id.encode(), b"{%b}" % text.encode()

    return make


def _each(name: str) -> Callable[[Make], list[Event]]:
    """Every form of a field, and the plain one between them."""
    return lambda e: [e(), *(each for form in FORMS[name] for each in (e(**{name: form}), e()))]


CASES: Final[Mapping[str, Callable[[Make], list[Event]]]] = {
    "A, A": lambda e: [e(), e()],
    "A, B, A": lambda e: [e(), e(total='"1.00"'), e()],
    "late": lambda e: [e(at=5), e(at=1, total='"1.00"'), e(at=5, total='"2.00"')],
    "times": lambda e: [
        e(time=time, customer=f'"{number}"')
        for number, time in enumerate(
            ("-1", "0", "-62135596800000", "1", "253402300799999", "253402300800000", "1.5", "null")
        )
    ],
    "extra members": lambda e: [e(), e(extra='{"a":[1]}'), e(total='"1.00"', extra="null")],
    "malformed": lambda e: [e(), (e()[0], b"{"), (e()[0], b""), (e()[0], b"[]"), e(paid="true")],
    "wrong keys": lambda e: [e(), (b"another", e(paid="true")[1]), (None, e(paid="true")[1])],
    **{f"forms of {name}": _each(name) for name in FORMS},
}

KNOWN_DIFFERENCES: Final[Mapping[str, Callable[[Make], list[Event]]]] = {
    "a delete by null value": lambda e: [e(), (e()[0], None)],
    "a JSON field with its members in another order": lambda e: [
        e(),
        e(details='{"b":[true,null],"a":1}'),
    ],
    "a number where text is expected": lambda e: [e(), e(customer="7")],
    "text where an integer since the epoch is expected": lambda e: [
        e(),
        e(paid="true", time=f'"{_FIRST + 9000}"'),
    ],
    "text where a boolean is expected": lambda e: [e(), e(paid='"true"')],
    "null where the default stands": lambda e: [e(), e(late="null")],
}

_IDS: Final = ('AB-{} "x"', "it's/{}", "Bestellung ä {}", "a\\b{}", "{}", '{{"order_id":"{}"}}')


def _named(
    cases: Mapping[str, Callable[[Make], list[Event]]],
) -> dict[str, tuple[str, list[Event]]]:
    found = {}
    for number, (name, make) in enumerate(cases.items()):
        order_id = _IDS[number % len(_IDS)].format(number)
        found[order_id] = (name, make(maker(order_id)))
    return found


def walk(random: Random, order_id: str) -> list[Event]:
    """Return 10 to 30 events of an order: each with a field or two in another form."""
    make = maker(order_id)
    events: list[Event] = []
    for _ in range(random.randint(10, 30)):
        if events and random.random() < 0.15:
            events.append(random.choice(events[-6:]))
            continue
        names = random.sample(list(FORMS), random.choice((0, 1, 1, 2)))
        forms = {name: random.choice(FORMS[name]) for name in names}
        events.append(make(at=random.randint(0, 8), **forms))
    return events


def known_differences() -> Events:
    """Return the events of the documented differences."""
    cases = _named(KNOWN_DIFFERENCES)
    events = [event for _, events in cases.values() for event in events]
    return Events(events, {order_id: name for order_id, (name, _) in cases.items()}, 0)


def make_events(seed: int, walks: int) -> Events:
    """Return the named cases and random walks, mixed into one stream."""
    random = Random(seed)
    cases = _named(CASES)
    histories = [events for _, events in cases.values()]
    histories += [walk(random, f"W-{number}") for number in range(walks)]
    return Events(
        interleaved(random, histories), {i: name for i, (name, _) in cases.items()}, walks
    )
