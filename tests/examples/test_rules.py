"""The events of each example, decided by the rules, against the example's oracle."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any, Final

import pytest

from dedup import DecimalBytes, Entity
from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter
from dedup.core.decision import EMITTING, EventRules, Outcome, Position, ProcessingTime
from dedup.core.facts import decide_on, facts_of
from dedup.core.state import State
from examples.debezium import events as changes
from examples.debezium import oracle as of_changes
from examples.debezium.connect import Connect
from examples.debezium.products import PRODUCT, Price, Product
from examples.orders import events as orders
from examples.orders import oracle as of_orders
from examples.orders.orders import ORDER

EVENTS: Final = 3_000
ROWS: Final = 80
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
CLOCK: Final = ProcessingTime(1_767_225_600_000_000, "2026-01-01T00:00:00.000000Z")

Record = tuple[bytes | None, bytes | None]


def clock(step: timedelta) -> Callable[[], datetime]:
    ticks = iter(range(10**9))
    return lambda: START + next(ticks) * step


class Worker:
    """Decides on the records of one partition, and reads what it emits as a consumer does."""

    def __init__(self, entity: Entity, emission: Callable[[Any], Any]) -> None:
        self.codec = Codec(entity)
        self.outcomes: Counter[str] = Counter()
        self.emitted: dict[Any, list[Any]] = defaultdict(list)
        self.rows: dict[Any, Any] = {}
        self._emission = emission
        self._states: dict[Any, State] = {}

    def read(self, offset: int, record: Record) -> None:
        facts = facts_of(self.codec, *record, CLOCK.text)
        known = None if isinstance(facts, DeadLetter) else self._states.get(facts.id)
        decision = decide_on(facts, known, Position(0, offset), CLOCK, EventRules())
        self.outcomes[decision.outcome] += 1
        if decision.state is None or isinstance(facts, DeadLetter):
            return
        self._states[facts.id] = decision.state
        if decision.outcome in EMITTING:
            row = decision.state.row
            self.rows[facts.id] = None if row is None else json.loads(row)
            said = None if row is None else self._emission(self.rows[facts.id])
            self.emitted[facts.id].append(said)


def run_orders(seed: int) -> tuple[Worker, Iterator[Record], of_orders.Oracle]:
    """Two events a millisecond: times may be equal."""
    events = orders.Generator(seed, ROWS, clock(timedelta(microseconds=500)))
    return Worker(ORDER, of_orders.emission), events, of_orders.Oracle()


class PreciseProduct(Product):
    """For `decimal.handling.mode=precise` without a schema, which would say so."""

    price: Annotated[Price, DecimalBytes(scale=2)]
    discount: Annotated[Price, DecimalBytes(scale=2)] | None = None


PRECISE: Final = Entity(
    "shop_product", PreciseProduct, "product_id", PRODUCT.envelope, metadata=PRODUCT.metadata
)


def run_changes(
    connect: Connect, entity: Entity = PRODUCT
) -> Callable[[int], tuple[Worker, Iterator[Record], of_changes.Oracle]]:
    def run(seed: int) -> tuple[Worker, Iterator[Record], of_changes.Oracle]:
        events = changes.Generator(seed, ROWS, clock(timedelta(milliseconds=1)), connect)
        return Worker(entity, of_changes.emission), events, of_changes.Oracle()

    return run


RUNS: Final[dict[str, Callable[[int], tuple[Worker, Iterator[Record], Any]]]] = {
    "orders": run_orders,
    "debezium": run_changes(Connect()),
    "debezium, precise": run_changes(Connect(decimals="precise"), PRECISE),
    "debezium with schemas": run_changes(Connect(schemas=True)),
    "debezium with schemas, precise": run_changes(Connect(schemas=True, decimals="precise")),
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", RUNS)
def test_every_row_has_the_emissions_of_the_oracle_also_through_replays(
    name: str, seed: int
) -> None:
    worker, events, oracle = RUNS[name](seed)
    records = list(islice(events, EVENTS))
    oracle.feed(records)
    for offset, record in enumerate(records):
        worker.read(offset, record)
    assert worker.outcomes == oracle.outcomes
    assert worker.emitted == oracle.emitted
    for offset, record in enumerate(records[-300:], EVENTS - 300):
        worker.read(offset, record)
    assert worker.emitted == oracle.emitted


@pytest.mark.parametrize("name", RUNS)
def test_the_events_are_of_every_sort_and_nearly_a_third_say_nothing_new(name: str) -> None:
    _, events, oracle = RUNS[name](7)
    oracle.feed(islice(events, EVENTS))
    shares = {outcome: count / EVENTS for outcome, count in oracle.outcomes.items()}
    assert shares.keys() == {*Outcome} - {Outcome.REFRESH, Outcome.REPLAYED}
    assert 0.25 < shares["duplicate"] < 0.35
    assert min(shares.values()) > 0.005
    history = next(each for each in oracle.emitted.values() if None in each[:-1])
    assert history[0] is not None


@pytest.mark.parametrize("name", RUNS)
def test_the_same_seed_and_clock_give_the_same_events(name: str) -> None:
    first, second, other = (list(islice(RUNS[name](seed)[1], 500)) for seed in (1, 1, 2))
    assert first == second != other


def test_an_update_that_touches_a_row_alone_says_nothing_new() -> None:
    """The point of the example: such updates differ in `updated_at` only."""
    worker, events, _ = RUNS["debezium"](3)
    touched = 0
    for offset, (key, value) in enumerate(islice(events, EVENTS)):
        before = worker.outcomes["duplicate"]
        worker.read(offset, (key, value))
        touched += worker.outcomes["duplicate"] > before and b'"op":"u"' in (value or b"")
    assert 0.2 * EVENTS < touched < 0.35 * EVENTS


def test_values_that_the_connector_leaves_out_are_those_of_the_known_row() -> None:
    worker, events, _ = RUNS["debezium"](4)
    records = list(islice(events, EVENTS))
    assert sum(changes.UNCHANGED.encode() in (value or b"") for _, value in records) > 50
    for offset, record in enumerate(records):
        worker.read(offset, record)
    rows = [row for row in worker.rows.values() if row is not None]
    assert len(rows) > 50
    assert {row["description"][:3] for row in rows} == {"It "}
