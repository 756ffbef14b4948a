"""The demo's own example: products, with the project's event generator."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final, get_args

from dedup.core.window import Strategy
from dedup.demo.example import Choice, Column, Example, choose
from dedup.entities.resolve import DEFAULT
from producer.events import EventGenerator, GeneratedEvent, Mix
from producer.lines import event_lines
from producer.oracle import Oracle


def _generate(seed: int, products: int, clock: Callable[[], datetime]) -> Iterator[GeneratedEvent]:
    mix = Mix(products=products, late=0.02, deletes=0.02, partial=0.05, invalid=0.01)
    return EventGenerator(seed, clock, mix)


def _generate_repeats(
    seed: int, products: int, clock: Callable[[], datetime]
) -> Iterator[GeneratedEvent]:
    mix = Mix(
        products=products,
        duplicates=0.25,
        late=0.02,
        deletes=0.02,
        partial=0.05,
        invalid=0.01,
        redeliveries=0.1,
        reverts=0.1,
    )
    return EventGenerator(seed, clock, mix)


def oracle_of(choice: Choice) -> Oracle:
    """Return an oracle of a strategy."""
    return Oracle(choice.strategy, choice.window_s, choice.window_kind, choice.window_entries)


def products_with(choice: Choice) -> Example:
    """Return products with redeliveries and reverts, judged by a strategy."""
    others = [choose(name) for name in get_args(Strategy) if name != choice.strategy]
    if choice.window_s is not None:
        others = [
            other if other.window_s is None else replace(other, window_s=choice.window_s)
            for other in others
        ]
    return replace(
        PRODUCTS,
        generate=_generate_repeats,
        oracle=partial(oracle_of, choice),
        settings=choice.settings,
        choice=choice,
        others={other.strategy: partial(oracle_of, other) for other in others},
    )


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
    with_choice=products_with,
)
