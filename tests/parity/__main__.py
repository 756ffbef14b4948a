"""`make parity`: named cases and random histories, equal through the worker and through Flink.

Then one rule of the SQL after the other is changed, and each time a difference must be seen.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from dedup.cli.parity.engine import FlinkError
from dedup.localkafka import LocalKafka
from tests.parity.changed_rules import CHANGED_RULES, changed_sql
from tests.parity.suite import Engines, make_events

_SHOWN = 20


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def _equal(kafka: str, directory: Path, chosen: argparse.Namespace) -> list[str]:
    """Compare the engines as they are."""
    events = make_events(chosen.seed, chosen.walks, chosen.events)
    engines = Engines(kafka, directory, events)
    failures = await engines.run_worker()
    begun = time.monotonic()
    result = await engines.compare(parallelism=chosen.parallelism)
    failures += result.failures
    _say(
        f"{len(events.cases)} named cases, {events.walks:,} random histories and "
        f"{chosen.events:,} events of the producer: {len(events.events):,} events, "
        f"{len(result.worker):,} products, {dict(result.outcomes)}; "
        f"Flink took {time.monotonic() - begun:.0f} s"
    )
    return failures


async def _changed(kafka: str, directory: Path) -> list[str]:
    """Change a rule of the SQL at a time; give the changes that nobody noticed."""
    engines = Engines(kafka, directory, make_events(1, walks=0, generated=0))
    failures = await engines.run_worker()
    for name in CHANGED_RULES:
        sql = directory / "changed.sql"
        sql.write_text(changed_sql(name), encoding="utf-8")
        seen = (await engines.compare(sql)).failures
        _say(f"with {name}: {len(seen)} differences, such as {seen[0] if seen else 'none'}")
        if not seen:
            failures.append(f"nobody noticed {name}")
    return failures


async def _run(kafka: str, directory: Path, chosen: argparse.Namespace) -> int:
    failures = await _equal(kafka, directory / "equal", chosen)
    if chosen.change_rules:
        failures += await _changed(kafka, directory / "changed")
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
    parser.add_argument("--no-change-rules", dest="change_rules", action="store_false")
    chosen = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dedup-parity-") as directory, LocalKafka() as kafka:
        for name in ("equal", "changed"):
            (Path(directory) / name).mkdir()
        try:
            failed = asyncio.run(_run(kafka.bootstrap_servers, Path(directory), chosen))
        except FlinkError as error:
            sys.exit(f"Error: {error}")
    _say(f"{failed or 'No'} differences; {time.monotonic() - begun:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
