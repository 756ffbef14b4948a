"""What a run of chaos is to do, and to what."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from dedup.demo.example import Example
from producer.events import EventGenerator, Mix
from producer.example import PRODUCTS
from producer.kafka import Event

ROWS: Final = 2_000
"""How many products the events are about, or rows of another entity."""


def _generate(seed: int, products: int, clock: Callable[[], datetime]) -> Iterator[Event]:
    mix = Mix(products=products, late=0.02, deletes=0.02, partial=0.03, invalid=0.005)
    return EventGenerator(seed, clock, mix)


PRODUCTS_IN_CHAOS: Final = replace(PRODUCTS, generate=_generate)
"""Products, fewer of them invalid than in the demo."""


@dataclass(frozen=True)
class Plan:
    """A run: how long, with what, and what is done to it."""

    seconds: float
    rate: int = 3_000
    workers: int | None = None
    """None: 1 to 3, by the seed."""

    actions: Sequence[str] = ()
    """Names of what is done to workers and broker; none: everything."""

    guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"
    example: Example = PRODUCTS_IN_CHAOS
