"""Entities with a field of every kind and ids of every kind, and histories of their rows."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, create_model

from dedup import Entity, Flat
from tests.sink.running import Rows
from tests.support.rows import PARTITIONS, KafkaRecord

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Carrier(StrEnum):
    """Who delivers a parcel."""

    POST = "post"
    COURIER = "the courier's"


class Parcel(BaseModel):
    """A field of every kind, with and without null; some names must be quoted in SQL."""

    size: Annotated[int, Field(ge=-5, le=2**31 - 1)]
    weight: int | None
    user: str
    Note: Annotated[str, Field(max_length=20)] | None = None
    total: Annotated[Decimal, Field(max_digits=38, decimal_places=4)]
    tip: Annotated[Decimal, Field(max_digits=5, decimal_places=0)] | None = None
    order: bool
    signed: bool | None = None
    at: datetime
    seen: datetime | None = None
    day: date
    due: date | None = None
    customer: UUID
    agent: UUID | None = None
    lines: list[Any]
    labels: dict[str, Any] | None = None
    status: Literal["new", "sent"]
    carrier: Carrier | None = None
    level: Literal[-1, 1, 2]
    grade: Literal[10, 20] | None = None


def _with_id(name: str, id_type: Any) -> Entity:
    model = create_model(name.title(), __base__=Parcel, key=(id_type, ...))
    return Entity(name=name, model=model, id="key", envelope=Flat(time="at"))


TEXT = _with_id("parcel", Annotated[str, Field(max_length=64)])
UUIDS = _with_id("ticket", UUID)
INTEGER = _with_id("meter", int)

TEXTS = [
    "",
    "NULL",
    "null",
    "{}",
    '"',
    "'",
    "\\",
    "a,b",
    " ",
    "\n\t",
    "it's",
    "Grüße",
    "\U0001f4e6",
]
TEXT_IDS = [*TEXTS[1:], "x" * 64, "\U0001f4e6" * 64, "Ä", "A\u0308", "a", "A", "a ", "7"]
INTEGER_IDS = [0, 1, -1, 42, -(2**63), 2**63 - 1, 2**31, -(2**31) - 1]
JSON_VALUES = [{}, {"a": None}, {"b": [1, {"c": "'\"\\"}], "a": 1.5}, {"é": True, "": ""}]


class RandomRows:
    """A random history of an entity's rows; `rows` is what it leaves so far, in Python's types."""

    def __init__(self, entity: Entity, seed: int) -> None:
        self._random = random.Random(seed)
        self._entity = entity
        uuids = [str(UUID(int=self._random.getrandbits(128))) for _ in range(20)]
        by_kind: dict[str, list[Any]] = {"text": TEXT_IDS, "uuid": uuids, "integer": INTEGER_IDS}
        self._ids = by_kind[entity.fields[0].kind.name]
        self.rows: Rows = {}

    def records(
        self, count: int, *, nulls: float = 0.3, plain_keys: bool = True
    ) -> Iterator[KafkaRecord]:
        """Return the next records; one in eight is a tombstone, some are not in the plain form."""
        for _ in range(count):
            row_id = self._random.choice(self._ids)
            partition = self._ids.index(row_id) % PARTITIONS
            expected_id = UUID(row_id) if self._entity is UUIDS else row_id
            key = json.dumps({"key": row_id}).encode()
            if plain_keys and self._random.random() < 1 / 4 and row_id != "{}":
                key = str(row_id).encode()
            if self._random.random() < 1 / 8:
                self.rows.pop(expected_id, None)
                yield partition, key, None
                continue
            written, expected = self._row(nulls)
            self.rows[expected_id] = expected
            yield partition, key, json.dumps({"key": row_id} | written).encode()

    def _row(self, nulls: float) -> tuple[dict[str, Any], tuple[Any, ...]]:
        """Return a row as it is written, and what must stand in the table."""
        pairs = self._pairs()
        for name, field in Parcel.model_fields.items():
            nullable = type(None) in getattr(field.annotation, "__args__", ())
            if nullable and self._random.random() < nulls:
                pairs[name] = (None, None)
        more: dict[str, Any] = {"last_event_timestamp": "2026-01-01T00:00:00.000000Z"}
        more |= {"processing_time": "2026-01-01T00:00:00.000000Z"}
        if self._random.random() < 1 / 4:
            more |= {"unknown": [1], "tags": {"x": None}}
        written = {name: pair[0] for name, pair in pairs.items()} | more
        return written, tuple(pairs[name][1] for name in Parcel.model_fields)

    def _pairs(self) -> dict[str, tuple[Any, Any]]:
        """Return a value of each field, as it is written and as the driver reads it."""
        draw = self._random
        sizes = [-5, 0, 2**31 - 1, draw.randint(-5, 2**31 - 1)]
        weights = [-(2**63), 0, 2**63 - 1, draw.randint(-(2**63), 2**63 - 1)]
        days = [date.min, date.max, date(2024, 2, 29)]
        same: dict[str, Any] = {
            "size": draw.choice(sizes),
            "weight": draw.choice(weights),
            "user": draw.choice(TEXTS),
            "Note": draw.choice(TEXTS),
            "order": draw.random() < 1 / 2,
            "signed": draw.random() < 1 / 2,
            "lines": draw.choice([[], JSON_VALUES]),
            "labels": draw.choice(JSON_VALUES),
            "status": draw.choice(["new", "sent"]),
            "carrier": draw.choice(["post", "the courier's"]),
            "level": draw.choice([-1, 1, 2]),
            "grade": draw.choice([10, 20]),
        }
        return {name: (value, value) for name, value in same.items()} | {
            "total": _decimal(draw.choice([-1, 1]) * draw.choice([0, 1, 10**38 - 1]), 4),
            "tip": _decimal(draw.randint(-99999, 99999), 0),
            "at": self._time(),
            "seen": self._time(),
            "day": _day(draw.choice(days)),
            "due": _day(draw.choice(days)),
            "customer": self._uuid(),
            "agent": self._uuid(),
        }

    def _uuid(self) -> tuple[str, UUID]:
        one = UUID(int=self._random.getrandbits(128))
        return self._random.choice([str(one), str(one).upper()]), one

    def _time(self) -> tuple[str, datetime]:
        first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        some = EPOCH + timedelta(microseconds=self._random.choice([0, 1, 500_000]))
        time = self._random.choice([first, last, some])
        text = time.isoformat(timespec="microseconds").replace("+00:00", "")
        return self._random.choice([f"{text}Z", f"{text}+00:00", text.replace("T", " ")]), time


def _day(day: date) -> tuple[str, date]:
    return day.isoformat(), day


def _decimal(unscaled: int, places: int) -> tuple[str, Decimal]:
    digits = tuple(map(int, str(abs(unscaled))))
    value = Decimal((int(unscaled < 0), digits, -places))
    return f"{value:f}", value
