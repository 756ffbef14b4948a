"""Where the seed's query goes wrong: each point of docs/flink.md on one product."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from dedup.parity.engine import ROOT, run_flink
from tests.parity.cases import Event, Make, event_maker
from tests.parity.strategies import HISTORIES, letter_of, source_events
from tests.parity.suite import create_topic
from tests.support.topics import produce, read_topic
from tests.support.workers import Names

SEED_QUERY: Final = ROOT / "deploy" / "flink" / "seed-query.sql"
UTC_LATER: Final = "10:00:05Z"


EMITS: Final[Mapping[str, Sequence[str | None]]] = {
    "A, A": ["A", None, "A"],
    "A, A sent again": ["A"],
    "A, B, B": ["A", "B", "A", "B"],
    "A, B, A": ["A", "B", "A"],
    "A, B, A after the window": ["A", "B", "A"],
    "A, late B": ["A", "B"],
    "A, deleted": ["A", None, "A"],
    "A, deleted, A": ["A", None, "A", None, "A"],
    "A, A, B, A, late C, A sent again, deleted": ["A", None, "A", "B", "A", "C", "A"],
}
"""What the query emits of the histories in docs/flink.md, measured at parallelism 1."""


async def seed_query_emits(kafka: str) -> list[str]:
    """Return where it emits something else of a history than docs/flink.md says."""
    events = [
        event
        for product_id, history in enumerate(HISTORIES.values())
        for event in source_events(product_id, history)
    ]
    _, rows = await _run(kafka, events)
    failures = []
    for product_id, name in enumerate(HISTORIES):
        found = [row and letter_of(row["price"]) for row in rows[product_id]]
        if found != EMITS[name]:
            failures.append(f"the seed's query, {name}: {found}, docs/flink.md says {EMITS[name]}")
    return failures


async def _run(kafka: str, events: list[Event]) -> tuple[Mapping[str, Any], Mapping[int, Any]]:
    """Run the query on events; return its statistics and the rows of each product."""
    names = Names.fresh()
    await create_topic(kafka, names.source, "delete")
    await create_topic(kafka, names.states, "compact")
    await produce(kafka, events, names.source)
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka} | names.settings
    [[stats]] = run_flink(
        environ,
        sql=SEED_QUERY,
        queries=["SELECT * FROM deduplication_stats"],
        options=["--parallelism", "1"],  # above it, which content of a product is last is a race
    )
    rows: dict[int, list[Any]] = defaultdict(list)
    for records in (await read_topic(kafka, names.states)).values():
        for record in records:
            row = None if record.value is None else json.loads(record.value, parse_float=Decimal)
            rows[json.loads(record.key)["product_id"]].append(row)
    return stats, rows


async def seed_query_goes_wrong(kafka: str) -> list[str]:
    """Return the points that could not be seen: the page would be wrong about them."""
    e: list[Make] = [event_maker(product_id) for product_id in range(6)]
    zulu = {"at": "10:00:00Z"}
    events = [
        *(e[1](**zulu), e[1](at=UTC_LATER)),
        *(e[2]("1.00", **zulu), e[2]("2.00", at="10:00:01Z"), e[2]("2.00", at="10:00:02Z")),
        *(e[3]("1.00", at=UTC_LATER), e[3]("2.00", **zulu)),
        *(e[4](**zulu), e[4](at=UTC_LATER, action="deleted")),
        e[5](at="10:00:00+00:00"),
    ]
    stats, rows = await _run(kafka, events)
    prices = [row and float(row["price"]) for row in rows[2]]
    seen = {
        "a duplicate makes the product vanish for a moment": [bool(row) for row in rows[1]]
        == [True, False, True],
        "A, B, B shows A again": 1.0 in prices[prices.index(2.0) :],
        "a late event wins": rows[3][-1]["price"] == 2,
        "a deleted product stays": rows[4][-1] is not None,
        "a time with +00:00 is null": rows[5][-1]["last_event_timestamp"] is None,
        "every event but one per product counts as a duplicate": (
            stats["duplicates"] == len(events) - len(rows)
        ),
    }
    return [f"the seed's query, {point}: not seen" for point, found in seen.items() if not found]
