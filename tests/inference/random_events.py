"""Events of random entities, with what should be inferred from them, made without the package."""

import base64
import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Self

Make = Callable[[random.Random], Any]
_BEGIN: Final = datetime(2024, 1, 1, tzinfo=UTC)
_WORDS: Final = ("grün", "a b", 'say "x"', "x" * 300, "-", "Ωmega", "null", "line\nbreak")


def _time(draw: random.Random) -> datetime:
    return _BEGIN + timedelta(microseconds=draw.randrange(10**13))


def _money(draw: random.Random) -> Decimal:
    return Decimal(draw.randrange(-(10**6), 10**8)).scaleb(-2)


class Number(float):
    """A number that JSON writes with these digits."""

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text


WIRE: Final[dict[str, tuple[str, str, Make]]] = {
    # a name: the kind and the mark that it should get, and how values are made
    "quantity": ("integer", "", lambda d: d.randrange(-(10**6), 10**6)),
    "cents_price": ("integer", "", lambda d: d.randrange(1_000_000_000, 2_000_000_000)),
    "barcode": ("integer", "", lambda d: d.randrange(10**12, 4 * 10**12)),
    "large": ("integer", "", lambda d: d.randrange(-(2**63), 2**63)),
    "title": ("text", "", lambda d: d.choice(_WORDS) + str(d.random())),
    "zip": ("text", "", lambda d: f"{d.randrange(100000):05}"),
    "total": ("decimal", "", lambda d: Number(str(_money(d)))),
    "fee": ("decimal", "", lambda d: f"{_money(d):.2f}"),
    "is_gift": ("boolean", "", lambda d: d.random() < 0.5),
    "placed_at": ("time", "", lambda d: _time(d).isoformat()),
    "sent_at": ("time", "Epoch('s')", lambda d: int(_time(d).timestamp())),
    "created": ("time", "Epoch('ms')", lambda d: int(_time(d).timestamp() * 1000)),
    "changedAt": ("time", "Epoch('us')", lambda d: int(_time(d).timestamp() * 10**6)),
    "valid_until": ("time", "Epoch('ns')", lambda d: int(_time(d).timestamp()) * 10**9),
    "due": ("date", "", lambda d: _time(d).date().isoformat()),
    "customer": ("uuid", "", lambda d: str(uuid.UUID(int=d.getrandbits(128)))),
    "attributes": ("json", "", lambda d: {"a": [d.random(), None], "b": {"c": "ü"}}),
    "lines": ("json", "", lambda d: [1, {"x": d.random()}]),
    "status": ("choice", "", lambda d: d.choice(("open", "paid", "sent"))),
}
"""Of all envelopes."""

OF_DEBEZIUM: Final[dict[str, tuple[str, str, Make]]] = {
    "born_on": ("date", "EpochDays()", lambda d: d.randrange(11000, 40000)),
    "details": ("json", "JsonText()", lambda d: json.dumps({"a": d.random()})),
    "amount": (
        "decimal",
        "DecimalBytes(scale=None)",
        lambda d: {"scale": 2, "value": base64.b64encode(d.randbytes(3)).decode()},
    ),
}


@dataclass
class Truth:
    """What the events of a random entity are, and what should be found."""

    envelope: str
    row_id: str
    key: str
    kinds: dict[str, tuple[str, str]]
    nullable: set[str] = field(default_factory=set)
    records: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)


def random_truth(seed: int, events: int = 600) -> Truth:
    """Return the events of a random entity."""
    draw = random.Random(seed)
    envelope = draw.choice(("Flat", "Wrapped", "Debezium"))
    names = draw.sample(sorted(WIRE), draw.randrange(4, len(WIRE)))
    wire = {name: WIRE[name] for name in names}
    if envelope == "Debezium":
        for name in ("attributes", "lines"):
            wire.pop(name, None)
        wire |= OF_DEBEZIUM
    row_id = draw.choice(("order_id", "sku", "id"))
    form = draw.choice(("integer", "text", "uuid"))
    key = draw.choice(("text", "json", "object", "connect"))
    kinds = {name: (kind, mark) for name, (kind, mark, _) in wire.items()}
    truth = Truth(envelope, row_id, key, {row_id: (form, ""), **kinds})
    nullable = {name: draw.choice((0, 0, 0.2)) for name in wire}
    missing = {name: draw.choice((0, 0, 0, 0.2)) for name in wire}
    truth.nullable = {name for name in wire if nullable[name] or missing[name]}
    ids = [_id(draw, form) for _ in range(40)]
    for number in range(events):
        row: dict[str, Any] = {row_id: draw.choice(ids)}
        for name, (_, _, make) in wire.items():
            if draw.random() >= missing[name]:
                row[name] = None if draw.random() < nullable[name] else make(draw)
        value = _event(draw, envelope, row, number)
        truth.records.append((_key(row_id, row[row_id], key), _json(value)))
        if draw.random() < 0.05 and envelope != "Wrapped":
            truth.records.append((truth.records[-1][0], None))
    return truth


def _id(draw: random.Random, form: str) -> int | str:
    if form == "uuid":
        return str(uuid.UUID(int=draw.getrandbits(128)))
    return draw.randrange(10**6) if form == "integer" else f"AB-{draw.randrange(10**6)}"


def _key(name: str, row_id: int | str, form: str) -> bytes:
    match form:
        case "text":
            return str(row_id).encode()
        case "json":
            return _json(row_id)
        case "object":
            return _json({name: row_id})
    return _json({"schema": {"type": "struct"}, "payload": {name: row_id}})


def _event(draw: random.Random, envelope: str, row: dict[str, Any], number: int) -> Any:
    at = _BEGIN + timedelta(seconds=number)
    if envelope == "Flat":
        return {**row, "updated_at": at.isoformat()}
    if envelope == "Debezium":
        op = draw.choice(("c", "u", "r"))
        return {"before": None, "after": row, "op": op, "source": {"ts_ms": 1704067200000 + number}}
    outer = {"event_id": f"e-{number}", "action": draw.choice(("created", "updated"))}
    return {**outer, "timestamp": at.isoformat(), "source": "shop", "order": row}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
