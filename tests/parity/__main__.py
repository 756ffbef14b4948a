"""`make parity`: named cases and random histories, equal through the worker and through Flink.

Of products, of orders (flat events, text ids, every kind of field) and of customers (Debezium);
of products under each strategy, where a model judges both.
Then one rule of the SQL after the other is changed, and each time a difference must be seen.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random
from typing import Final

from dedup.entities.resolve import DEFAULT
from dedup.localkafka import LocalKafka
from dedup.parity.engine import FlinkError
from tests.parity import customers, orders, products, strategies
from tests.parity.changed_rules import ORDER_RULES, PRODUCT_RULES, STRATEGY_RULES, changed_sql
from tests.parity.command import parity_command
from tests.parity.products import ProductEngines
from tests.parity.seed import seed_query_emits, seed_query_goes_wrong
from tests.parity.suite import Engines, Events
from tests.parity.takeover import flink_after_worker, worker_after_flink
from tests.parity.walks import walk

_SHOWN: Final = 20


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def _equal(kafka: str, directory: Path, chosen: argparse.Namespace) -> list[str]:
    """Compare the engines on products."""
    events = products.make_events(chosen.seed, chosen.walks, chosen.events)
    engines = ProductEngines(kafka, directory, events)
    return [*await engines.judged(), *await _compare(engines, chosen)]


async def _orders(kafka: str, directory: Path, chosen: argparse.Namespace) -> list[str]:
    """Compare the engines on orders."""
    events = orders.make_events(chosen.seed, chosen.walks // 4)
    return await _of_entity(Engines(kafka, directory, events, orders.SETTING), chosen)


async def _customers(kafka: str, directory: Path, chosen: argparse.Namespace) -> list[str]:
    """Compare the engines on customers."""
    events = customers.make_events()
    return await _of_entity(Engines(kafka, directory, events, customers.SETTING), chosen)


async def _strategies(kafka: str, directory: Path, chosen: argparse.Namespace) -> list[str]:
    """Compare the engines under each strategy, with a model of it as a third.

    Other entities have no model, and one of the strategies.
    """
    failures = await strategies.compare(kafka, directory, chosen.seed, chosen.walks // 4, _say)
    for events, entity in (
        (orders.make_events(chosen.seed, chosen.walks // 8), orders.SETTING),
        (customers.make_events(), customers.SETTING),
    ):
        engines = strategies.DISTINCT.engines(kafka, directory / entity, events, entity)
        failures += await _of_entity(engines, chosen)
    return failures


async def _of_entity(engines: Engines, chosen: argparse.Namespace) -> list[str]:
    await engines.run_worker()
    return await _compare(engines, chosen)


async def _compare(engines: Engines, chosen: argparse.Namespace) -> list[str]:
    """Run Flink where the worker has run; return what differs."""
    begun = time.monotonic()
    result = await engines.compare(parallelism=chosen.parallelism)
    events = engines.events
    _say(
        f"{engines.entity.plural}: {len(events.cases)} named cases, {events.walks:,} random "
        f"histories: {len(events.events):,} events, {len(result.worker):,} ids, "
        f"{dict(result.outcomes)}; Flink took {time.monotonic() - begun:.0f} s"
    )
    return result.failures


async def _changed(kafka: str, directory: Path) -> list[str]:
    """Change one rule of the SQL at a time; return the changes that no case detects."""
    failures = []
    of_products = products.make_events(1, walks=0, generated=0)
    of_strategies, _ = strategies.make_events(1, walks=50)
    for engines, rules in (
        (_engines(kafka, directory / "products", of_products), PRODUCT_RULES),
        (
            _engines(kafka, directory / "orders", orders.make_events(1, 0), orders.SETTING),
            ORDER_RULES,
        ),
        *(
            (each.engines(kafka, directory / each.name, of_strategies), rules)
            for each, rules in STRATEGY_RULES.items()
        ),
    ):
        await engines.run_worker()
        for name in rules:
            seen = await engines.differences(changed_sql(engines.sql(), rules, name))
            _say(f"with {name}: {len(seen)} differences, such as {seen[0] if seen else 'none'}")
            if not seen:
                failures.append(f"no case detects {name}")
    return failures


def _engines(kafka: str, directory: Path, events: Events, entity: str = DEFAULT) -> Engines:
    directory.mkdir()
    return Engines(kafka, directory, events, entity)


async def _moves(kafka: str, directory: Path) -> list[str]:
    """Take over from Flink and hand over to it."""
    failures = []
    for move in (worker_after_flink, flink_after_worker):
        found = await move(kafka, directory)
        _say(f"{move.__name__.replace('_', ' ')}: {len(found)} differences")
        failures += found
    return failures


async def _command(kafka: str, directory: Path) -> list[str]:
    """Call `dedup parity` as a user does."""
    failures = []
    random = Random(1)
    for name, entity, events in (
        ("products", DEFAULT, [e for n in range(20) for e in walk(random, 1 + 3 * n)]),
        ("orders", orders.SETTING, orders.make_events(1, walks=5).events),
    ):
        (directory / name).mkdir()
        failures += await parity_command(kafka, directory / name, entity, events)
    _say(f"dedup parity: {len(failures)} wrong answers")
    return failures


async def _known_differences(kafka: str, directory: Path) -> list[str]:
    """Look at every documented difference; one that is none any more is a failure."""
    gone = []
    for engines in (
        _engines(kafka, directory / "products", products.known_differences()),
        _engines(kafka, directory / "orders", orders.known_differences(), orders.SETTING),
    ):
        await engines.run_worker()  # the oracle does not see every flaw either
        seen = await engines.differences()
        cases = engines.events.cases.values()
        unseen = [name for name in cases if not any(each.startswith(name) for each in seen)]
        gone += [f"documented as a difference, but equal: {name}" for name in unseen]
        _say(f"{engines.entity.plural}: {len(cases)} documented differences, {len(unseen)} unseen")
    return gone + await strategies.undifferent(kafka, directory / "strategies")


async def _seed_query(kafka: str) -> list[str]:
    """Look at the seed's query going wrong."""
    unseen = await seed_query_goes_wrong(kafka)
    others = await seed_query_emits(kafka)
    _say(
        f"the seed's query: {len(unseen)} of its faults not seen, {len(others)} of "
        f"{len(strategies.HISTORIES)} short histories other than documented"
    )
    return unseen + others


COMPARED: Final = {
    "equal": _equal,
    "orders": _orders,
    "customers": _customers,
    "strategies": _strategies,
}
CHECKED: Final[Mapping[str, Callable[[str, Path], Awaitable[list[str]]]]] = {
    "moves": _moves,
    "command": _command,
    "known-differences": _known_differences,
    "seed-query": lambda kafka, _: _seed_query(kafka),
    "changed-rules": _changed,
}
PARTS: Final = (*COMPARED, *CHECKED)


async def _run(kafka: str, directory: Path, chosen: argparse.Namespace) -> int:
    failures: list[str] = []
    for part in chosen.parts or PARTS:
        (directory / part).mkdir()
        if part in COMPARED:
            failures += await COMPARED[part](kafka, directory / part, chosen)
        else:
            failures += await CHECKED[part](kafka, directory / part)
    for failure in failures[:_SHOWN]:
        _say(f"DIFFERENT {failure}")
    return len(failures)


def main() -> None:
    """Exit with 0 if everything is equal and every changed rule was noticed."""
    parser = argparse.ArgumentParser(prog="make parity", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--walks", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=10_000, help="events of the producer")
    parser.add_argument("--parallelism", type=int, default=2)
    parser.add_argument("--part", dest="parts", action="append", choices=PARTS, help="default: all")
    chosen = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dedup-parity-") as directory, LocalKafka() as kafka:
        try:
            failed = asyncio.run(_run(kafka.bootstrap_servers, Path(directory), chosen))
        except FlinkError as error:
            sys.exit(f"Error: {error}")
    _say(f"{failed or 'No'} differences; {time.monotonic() - begun:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
