"""The demo's own example: products, with the project's event generator."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from dedup.demo.example import Column, Example
from dedup.entities.resolve import DEFAULT
from producer.events import EventGenerator, GeneratedEvent, Mix
from producer.lines import event_lines
from producer.oracle import Oracle


def _generate(seed: int, products: int, clock: Callable[[], datetime]) -> Iterator[GeneratedEvent]:
    mix = Mix(products=products, late=0.02, deletes=0.02, partial=0.05, invalid=0.01)
    return EventGenerator(seed, clock, mix)


PRODUCTS: Final = Example(
    entity_name=DEFAULT,
    generate=_generate,
    oracle=Oracle,
    emission=lambda row: row["last_event_id"],
    columns=(
        Column("id", lambda row: row["product_id"], right=True),
        Column("name", lambda row: row["product_name"]),
        Column("price", lambda row: row["price"], right=True),
        Column("stock", lambda row: row["stock_quantity"], right=True),
        Column("discount", lambda row: row["discount"], right=True),
        Column("last action", lambda row: row["last_action"]),
        Column("at (UTC)", lambda row: row["last_event_timestamp"][11:23]),
    ),
    lines=event_lines,
)
