"""Entities with ids of any text and of any integer, and orders that are hard to show."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from dedup.core.entity import Entity, Flat, Wrapped


class Order(BaseModel):
    """A row with a field of every kind, and too many columns for a narrow screen."""

    order_id: Annotated[str, Field(max_length=64)]
    status: Literal["open", "paid", "sent"]
    customer: Annotated[str, Field(max_length=80)]
    total: Annotated[Decimal, Field(ge=-1000, max_digits=12, decimal_places=2)]
    currency: Annotated[str, Field(max_length=3)] = "EUR"
    weight: Annotated[int, Field(ge=0, le=1000)] | None = None
    is_gift: bool = False
    placed: date
    due: datetime | None = None
    note: str | None = None
    lines: list[Any] = []
    attributes: dict[str, Any] | None = None
    updated_at: datetime


class Reading(BaseModel):
    """A row with an id of any sign."""

    reading_id: int
    name: str
    celsius: Annotated[Decimal, Field(max_digits=5, decimal_places=1)]
    at: datetime


ORDER: Final = Entity(
    name="order",
    model=Order,
    id="order_id",
    metadata=("updated_at",),
    envelope=Flat(time="updated_at"),
)
READING: Final = Entity(
    name="reading",
    model=Reading,
    id="reading_id",
    metadata=("at",),
    envelope=Wrapped(payload="reading", time="at", action="kind", deletes=("gone",)),
)

MARKUP: Final = "<img src=x onerror=\"document.title='hacked'\">"
RIGHT_TO_LEFT: Final = "שלום עולם"
HOSTILE: Final = (
    *("a/b", "a/b/live", "live", "/", "//", "..", ".", "../..", ".hidden", "a\\b"),
    *("~", "~2F", "a~2Fb", "~7E2F", "%41", "100%", "%2F", "%00", "a?b#c", "a&b=c;d", "+", "a+b"),
    *(" ", " lead", "two  spaces", "trail ", "line\nbreak", "tab\there", "\u200b", "\u202egnp.exe"),
    *("q\"uo'te", "`code`", MARKUP, "<script>document.title='hacked'</script>", "{{ 7 * 7 }}"),
    *(
        RIGHT_TO_LEFT,
        "日本語",
        "😀",
        "é",
        "e\u0301",
        "\U0001f9d1\u200d\U0001f680",
        "\uffff",
        "\U0010ffff",
    ),
    *("-x", "--help", "null", "0", "{}", '{"order_id":"x"}', "x" * 64, "ü" * 64),
)
"""Ids that addresses, HTML, shells or people could take for something else."""

STEM: Final = datetime(2026, 1, 1, tzinfo=UTC)


def order(order_id: str, number: int = 0, **changes: Any) -> bytes:
    """Return the event of an order; `number` are the seconds of its time."""
    at = STEM + timedelta(seconds=number)
    row = {
        "order_id": order_id,
        "status": "open",
        "customer": "Ada Lovelace",
        "total": "-12.50",
        "placed": "2026-01-01",
        "due": "2026-02-01T12:00:00Z",
        "lines": [{"sku": f"S-{n}", "quantity": n, "text": MARKUP} for n in range(1, 6)],
        "attributes": {"gift wrap": True, RIGHT_TO_LEFT: None},
        "updated_at": at.isoformat(),
    }
    return json.dumps({**row, **changes}).encode()


def reading(reading_id: int, number: int = 0, **changes: Any) -> bytes:
    """Return the event of a reading; `number` are the seconds of its time."""
    row = {"reading_id": reading_id, "name": f"Roof {reading_id}", "celsius": "-3.5"}
    at = (STEM + timedelta(seconds=number)).isoformat()
    return json.dumps({"kind": "read", "at": at, "reading": {**row, "at": at, **changes}}).encode()
