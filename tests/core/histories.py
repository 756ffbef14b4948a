"""Random histories of one partition of `products`: records as bytes, beside what they mean.

A history is made from its meaning, never read from its bytes, so that a judge of a history shares
no reading code with what it judges. Every value is drawn in one of the forms a producer may send.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

MANY: Final = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
"""Settings of every property test here: no deadline, for CI machines are slow at times."""

Content = Mapping[str, str | int | None]


class Meaning(NamedTuple):
    """What a readable record says. Prices are cents, times microseconds since the epoch.

    A delete by null value has neither time nor id. `given` holds the content fields that are
    there.
    """

    product_id: int
    action: str
    time: int | None
    event_id: str | None
    given: Content


class Item(NamedTuple):
    """One record of a history; no meaning: it can't be read, whatever is known."""

    key: bytes | None
    value: bytes | None
    meaning: Meaning | None


History = Sequence[Item]
Token = str | dict[str, "Token"]
"""A JSON value as the text that stands in the record, or an object of such."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ZONES: Final = (timezone(timedelta(hours=2)), timezone(-timedelta(hours=5, minutes=30)))
FIRST: Final = datetime(2023, 12, 1, 10, 30, tzinfo=UTC)
TIMES: Final = tuple(
    round((FIRST - EPOCH).total_seconds()) * 1_000_000 + after
    for after in (0, 1, 500_000, 60_000_000, 60_123_456, 7_200_000_000, 86_400_000_000)
)
ACTIONS: Final = ("created", "updated", "price_changed", "stock_updated", "deleted", "restocked")
"""The last one is unknown to readers of today: it is applied as an update."""


def json_text(token: Token) -> str:
    if isinstance(token, str):
        return token
    return "{" + ",".join(f'"{name}":{json_text(value)}' for name, value in token.items()) + "}"


def price_tokens(cents: int) -> list[str]:
    """Every form of a price: as text and as a JSON number."""
    plain = f"{cents // 100}.{cents % 100:02d}"
    forms = [plain, plain.rstrip("0").removesuffix("."), f"{plain}00", f"{cents}e-2"]
    if cents % 1000 == 0:
        forms.append(f"{cents // 1000}e1")
    return [f'"{form}"' for form in forms] + forms


def time_tokens(microseconds: int) -> list[str]:
    """Every form of a time: zones, none (UTC), with and without a fraction."""
    time = EPOCH + timedelta(microseconds=microseconds)
    texts = []
    for timespec in ("microseconds", "auto"):
        texts += [time.astimezone(zone).isoformat(timespec=timespec) for zone in ZONES]
        bare = time.replace(tzinfo=None).isoformat(timespec=timespec)
        texts += [bare, f"{bare}Z", f"{bare}+00:00"]
    return [f'"{text}"' for text in texts]


NAMES: Final = {"Lamp": '"Lamp"', 'L"ä,': '"L\\"\\u00e4,"', "😀": '"😀"'}
DESCRIPTIONS: Final = {None: "null", "": '""', "d": '"d"'}
PRICES: Final = (0, 1000, 1010, 9_999_999_999)
STOCKS: Final = {0: ("0", "-0"), 5: ("5",), 2**31 - 1: ("2147483647",)}
DISCOUNTS: Final = (0, 150)

FLAWS: Final = (
    ("product.price", '"-0.01"'),
    ("product.price", '"10.005"'),
    ("product.price", '"100000000"'),
    ("product.price", '"ten"'),
    ("product.price", None),
    ("product.discount", '"NaN"'),
    ("product.discount", "-1"),
    ("product.product_name", '""'),
    ("product.product_name", '"' + "x" * 256 + '"'),
    ("product.product_name", None),
    ("product.product_name", "7"),
    ("product.stock_quantity", "-1"),
    ("product.stock_quantity", '"many"'),
    ("product.product_id", None),
    ("product", None),
    ("product", "[]"),
    ("event_id", None),
    ("event_id", "17"),
    ("timestamp", None),
    ("timestamp", '"yesterday"'),
    ("timestamp", "1701426600"),
)
"""What breaks a created event: a field and its token; None: the field is not there."""

SUBTLE_FLAWS: Final = (
    ("action", None),
    ("action", "1"),
    ("event_id", '"\\ud800"'),
    ("old_price", '"-1"'),
    ("product.created_at", '"never"'),
    ("product.description", "5"),
    ("product.price", "10.000000000000000001"),
    ("product.price", "Infinity"),
    ("product.price", "null"),
    ("product.price", '""'),
    ("product.price", "true"),
    ("product.product_name", '"\\ud800"'),
    ("product.product_name", "null"),
    ("product.stock_quantity", "2147483648"),
    ("product.stock_quantity", "null"),
    ("product.stock_quantity", "true"),
    ("timestamp", '"0001-01-01T00:00:00+14:00"'),
)
"""Flaws that `producer.oracle` does not see."""


@st.composite
def _products(
    draw: st.DrawFn, product_id: int
) -> tuple[dict[str, Token], dict[str, str | int | None]]:
    """A product as tokens, and what it gives."""
    pick = st.sampled_from
    name, description = draw(pick(sorted(NAMES))), draw(pick(list(DESCRIPTIONS)))
    price, stock, discount = draw(pick(PRICES)), draw(pick(list(STOCKS))), draw(pick(DISCOUNTS))
    tokens: dict[str, Token] = {
        "product_id": str(product_id),
        "product_name": NAMES[name],
        "description": DESCRIPTIONS[description],
        "price": draw(pick(price_tokens(price))),
        "stock_quantity": draw(pick(STOCKS[stock])),
        "discount": draw(pick([*price_tokens(discount), *(["null"] if discount == 0 else [])])),
        "created_at": draw(pick(["null", *time_tokens(TIMES[0])])),
        "updated_at": draw(pick(["null", *time_tokens(TIMES[1])])),
    }
    given: dict[str, str | int | None] = {
        "product_name": name,
        "description": description,
        "price": price,
        "stock_quantity": stock,
        "discount": discount,
    }
    return tokens, given


@st.composite
def _events(draw: st.DrawFn, flaws: Sequence[tuple[str, str | None]]) -> Item:
    """An event; its id is still to be set."""
    product_id = draw(st.sampled_from((1, 2, 2**63 - 1)))
    product, given = draw(_products(product_id))
    flaw = draw(st.sampled_from(flaws)) if draw(st.integers(0, 9)) == 0 else None
    action = "created" if flaw else draw(st.sampled_from(ACTIONS))
    if flaw is None and draw(st.booleans()):
        required = {"product_name", "price"} if action == "created" else set()
        lacking = draw(st.sets(st.sampled_from(sorted(given.keys() - required)), min_size=1))
        for field in (*lacking, "created_at"):
            del product[field]
            given.pop(field, None)
    time = draw(st.sampled_from(TIMES))
    event: dict[str, Token] = {
        "event_id": '"%"',
        "action": f'"{action}"',
        "timestamp": draw(st.sampled_from(time_tokens(time))),
        "processed": "false",
        "product": product | draw(st.sampled_from(({}, {"colour": '{"red":[1e3,null]}'}))),
        "old_price": draw(st.sampled_from(("null", '"1.00"', "1"))),
    }
    if flaw:
        break_field(event, *flaw)
    meaning = None if flaw else Meaning(product_id, action, time, "%", given)
    return Item(b"%d" % product_id, json_text(event).encode(), meaning)


def break_field(event: dict[str, Token], path: str, token: str | None) -> None:
    where, _, field = path.rpartition(".")
    target = event[where] if where else event
    if not isinstance(target, dict):
        raise TypeError(path)
    if token is None:
        del target[field]
    else:
        target[field] = token


def _null_value(product_id: int) -> Item:
    return Item(b"%d" % product_id, None, Meaning(product_id, "deleted", None, None, {}))


_GOOD: Final = (
    b'{"event_id":"x","action":"created","timestamp":"2024-01-01T00:00:00Z",'
    b'"product":{"product_id":1,"product_name":"n","price":"1.00"}}'
)
UNREADABLE: Final = (
    (None, _GOOD),
    (None, None),
    (b"2", _GOOD),
    (b"01", _GOOD),
    (b'{"product_id":1}', _GOOD),
    (b"", _GOOD),
    (b"1", _GOOD[:-1]),
    (b"1", b""),
    (b"1", b"[]"),
    (b"1", b"null"),
    (b"1", b'"text"'),
    (b"1", b"\xff\xfe{"),
    (b"no number", None),
)
"""Records that can't be read, by key or by value."""

_OTHERS: Final = [_null_value(1), _null_value(2)] + [
    Item(key, value, None) for key, value in UNREADABLE
]


@st.composite
def histories(
    draw: st.DrawFn,
    flaws: Sequence[tuple[str, str | None]] = (*FLAWS, *SUBTLE_FLAWS),
    max_size: int = 24,
) -> list[Item]:
    """A history with duplicates, late events, deletes, re-creations, partial updates, flaws.

    Event ids are unique, except where a record is repeated byte by byte.
    """
    event = _events(flaws)
    items = draw(
        st.lists(
            st.one_of(event, event, event, st.sampled_from(_OTHERS), st.integers(1, 6)),
            min_size=1,
            max_size=max_size,
        )
    )
    history: list[Item] = []
    for number, item in enumerate(items):
        if isinstance(item, Item):
            history.append(_with_id(item, f"e{number}"))
        elif len(history) >= item:
            history.append(history[-item])
    return history


def _with_id(item: Item, event_id: str) -> Item:
    value, meaning = item.value, item.meaning
    if value is not None:
        value = value.replace(b'"%"', f'"{event_id}"'.encode())
    if meaning is not None and meaning.event_id is not None:
        meaning = meaning._replace(event_id=event_id)
    return Item(item.key, value, meaning)
