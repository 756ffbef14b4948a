"""The demo of orders: `make demo ENTITY=orders`."""

from typing import Final

from dedup.demo.example import Column, Example
from examples.orders.events import Generator
from examples.orders.oracle import Oracle, emission

EXAMPLE: Final = Example(
    entity_name="examples.orders.orders:ORDER",
    generate=Generator,
    oracle=Oracle,
    emission=emission,
    columns=(
        Column("id", lambda row: row["order_id"]),
        Column("status", lambda row: row["status"]),
        Column("total", lambda row: row["total"], right=True),
        Column("gift", lambda row: "yes" if row["is_gift"] else "no"),
        Column("items", lambda row: sum(item["pieces"] for item in row["items"]), right=True),
        Column("note", lambda row: row["note"] or ""),
        Column("at (UTC)", lambda row: row["updated_at"][11:23]),
    ),
)
