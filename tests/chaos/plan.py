"""What a run of chaos is to do, and to what."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final, Literal

from dedup.core.window import Strategy, WindowKind
from dedup.demo.example import LATEST, Choice, Example
from examples.orders.demo import EXAMPLE as ORDERS
from producer.events import EventGenerator, Mix
from producer.example import PRODUCTS, oracle_of
from producer.kafka import Event

ROWS: Final = 2_000
"""How many products the events are about, or rows of another entity."""

WINDOWS_S: Final = (3.0, 10.0, 1.0)
"""Lengths of windows: event times are those of the feed, so that windows end during a run."""

WINDOW_ENTRIES: Final = (4, 64)
"""How many contents or event ids are remembered: few, so that some are forgotten; and all."""

Guarantee = Literal["exactly_once", "at_least_once"]

_STRATEGIES: Final[Sequence[tuple[Strategy, WindowKind]]] = (
    ("latest", "fixed"),
    ("distinct", "fixed"),
    ("distinct", "sliding"),
    ("event_id", "fixed"),
    ("event_id", "sliding"),
    ("latest", "sliding"),
)


def choice_by(seed: int) -> Choice:
    """Return the strategy and the window of a seed: six in a row have every strategy and kind."""
    strategy, kind = _STRATEGIES[seed % len(_STRATEGIES)]
    if (strategy, kind) == ("latest", "fixed"):
        return LATEST
    # Not at random: the first numbers of a seed's generator are those of its workers.
    window_s = WINDOWS_S[seed // len(_STRATEGIES) % len(WINDOWS_S)]
    return Choice(strategy, window_s, kind, WINDOW_ENTRIES[seed // 2 % len(WINDOW_ENTRIES)])


def guarantee_by(seed: int) -> Guarantee:
    """Return the guarantee of a seed on a cluster."""
    return "at_least_once" if seed % 7 in {2, 5} else "exactly_once"


def other_by(seed: int) -> Example | None:
    """Return orders for some seeds on a cluster, which are judged as `latest`; else None."""
    return ORDERS if seed % 7 in {4, 5} else None


def some_by(seed: int, *kinds: tuple[int, Sequence[str]]) -> list[str]:
    """Return so many of each kind of trouble, by turns: some seeds in a row have them all."""
    return [
        names[(number * seed + n) % len(names)] for number, names in kinds for n in range(number)
    ]


def _generate(seed: int, products: int, clock: Callable[[], datetime]) -> Iterator[Event]:
    mix = Mix(
        products=products,
        duplicates=0.1,
        late=0.02,
        deletes=0.02,
        partial=0.03,
        invalid=0.005,
        redeliveries=0.25,
        reverts=0.2,
    )
    return EventGenerator(seed, clock, mix)


def products_in_chaos(choice: Choice) -> Example:
    """Return products of which few are invalid and many come again, judged by a strategy."""
    return replace(PRODUCTS, generate=_generate, oracle=partial(oracle_of, choice))


@dataclass(frozen=True)
class Plan:
    """A run: how long, with what, and what is done to it."""

    seconds: float
    actions: Sequence[str]
    """Names of what is done to workers and brokers: each once, then at random."""

    rate: int = 3_000
    workers: int | None = None
    """None: 1 to 3, by the seed."""

    brokers: int = 1
    network: bool = False
    """Whether the workers reach the brokers through proxies; then `workers` is a number."""

    guarantee: Guarantee = "exactly_once"
    choice: Choice = LATEST
    other: Example | None = None
    """What the run is of; None: products."""

    @property
    def example(self) -> Example:
        """What the run is of."""
        return self.other or products_in_chaos(self.choice)
