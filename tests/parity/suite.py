"""One run of the parity suite: the same events through a real worker and through real Flink."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from dedup.demo.oracle import Oracle
from dedup.parity.compare import Difference, Row, RowHistory, differences, row_histories
from dedup.parity.engine import Rows, run_flink
from producer.events import EventGenerator, Mix
from tests.parity.cases import CASES, KNOWN_DIFFERENCES, Event, named_cases
from tests.parity.walks import PRODUCTS, interleaved, walk
from tests.support.products import ROW_FIELDS
from tests.support.topics import emissions, judge, produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess

OUTCOMES: Final = ("change", "duplicate", "stale", "tombstone")
MIX: Final = Mix(products=1_000, late=0.05, deletes=0.03, invalid=0.02)
FIRST_CASE: Final = 10_001
FIRST_WALK: Final = 100_001

_COLUMNS: Final = ", ".join(
    f"CAST({name} AS STRING) AS {name}" for name in ROW_FIELDS if name != "processing_time"
)
_STATS: Final = "SELECT * FROM deduplication_stats"
_TABLE: Final = f"SELECT {_COLUMNS} FROM src_products"  # noqa: S608 - constants


_LATEST: Final = (
    "SELECT product_id, `action`, event_timestamp FROM product_events_flattened "
    "ORDER BY event_timestamp DESC LIMIT 10"
)
_COUNTS: Final = (
    "SELECT 'Raw Events' AS source, COUNT(*) AS events FROM product_events_flattened "
    "UNION ALL SELECT 'Deduplicated', COUNT(*) FROM product_events_deduplicated"
)
_ALIVE: Final = "SELECT COUNT(*) AS products FROM current_product_state"


@dataclass(frozen=True)
class Events:
    """What is put on `products`: the events, and whose product is whose."""

    events: list[Event]
    cases: Mapping[int, str]
    walks: int


@dataclass
class Result:
    """What the engines said. `failures` are sentences; none means parity."""

    worker: Mapping[int, RowHistory] = field(default_factory=dict)
    flink: Mapping[int, RowHistory] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def known_differences() -> Events:
    """Return the events of the documented differences."""
    cases = named_cases(KNOWN_DIFFERENCES, FIRST_CASE)
    events = [event for _, events in cases.values() for event in events]
    return Events(events, {product_id: name for product_id, (name, _) in cases.items()}, 0)


def make_events(seed: int, walks: int, generated: int) -> Events:
    """Return the named cases, random walks and events of the producer, mixed into one stream."""
    random = Random(seed)
    cases = named_cases(CASES, FIRST_CASE)
    generator = EventGenerator(seed, lambda: datetime(2026, 1, 1, tzinfo=UTC), MIX)
    histories = [
        *(events for _, events in cases.values()),
        *(walk(random, FIRST_WALK + PRODUCTS * number) for number in range(walks)),
        [(event.key, event.value) for event in islice(generator, generated)],
    ]
    names = {product_id: name for product_id, (name, _) in cases.items()}
    return Events(interleaved(random, histories), names, walks)


class Engines:
    """A broker's topics for one set of events, the worker run once, Flink as often as wanted."""

    def __init__(self, kafka: str, directory: Path, events: Events) -> None:
        self.events = events
        self._kafka = kafka
        self._directory = directory
        self._names = Names.fresh()
        self._counted: Counter[str] = Counter()
        self._worker: Mapping[int, RowHistory] = {}

    async def run_worker(self) -> list[str]:
        """Let the worker do everything; say where the oracle disagrees."""
        names = self._names
        with WorkerProcess(self._kafka, self._directory / "state", names.settings) as worker:
            worker.wait_until_ready()
            await produce(self._kafka, self.events.events, names.source)
            await wait_until_done(self._kafka, names)
            metrics = worker.metrics()
            worker.terminate()
        for outcome in (*OUTCOMES, "dead_letter"):
            self._counted[outcome] = int(metrics[f'dedup_events_total{{outcome="{outcome}"}}'])
        output = await read_topic(self._kafka, names.states)
        self._worker = row_histories(record for records in output.values() for record in records)
        oracle: Oracle = judge(await read_topic(self._kafka, names.source))
        agrees = oracle.emitted == emissions(output)
        return [] if agrees else ["the worker's output is not what the oracle expects"]

    async def compare(self, *, parallelism: int = 1) -> Result:
        """Run Flink on the same events; compare sequences, tables and statistics."""
        of_worker = f"{_TABLE} /*+ OPTIONS('topic' = '{self._names.states}') */"
        queries = (_STATS, _TABLE, of_worker, _LATEST, _COUNTS, _ALIVE)
        emitted, tables = await self._run_flink(None, queries=queries, parallelism=parallelism)
        stats, table_of_flink, table_of_worker, *monitoring = tables
        result = Result(self._worker, emitted, self._counted)
        result.failures += self._told(differences(self._worker, emitted))
        result.failures += _statistics(self._counted, stats)
        result.failures += _tables(self._worker, table_of_worker, "the worker's")
        result.failures += _tables(emitted, table_of_flink, "Flink's")
        result.failures += _monitoring(self._counted, len(table_of_flink), *monitoring)
        if _by_product(table_of_flink) != _by_product(table_of_worker):
            result.failures.append("the tables read through the upsert-kafka DDL differ")
        return result

    async def differences(self, sql: Path | None = None) -> list[str]:
        """Run Flink on the same events with other SQL; say whose sequence differs."""
        emitted, _ = await self._run_flink(sql, queries=(), parallelism=1)
        return self._told(differences(self._worker, emitted))

    async def _run_flink(
        self, sql: Path | None, *, queries: tuple[str, ...], parallelism: int
    ) -> tuple[dict[int, list[Row | None]], list[Rows]]:
        output = Names.fresh().states
        await create_topic(self._kafka, output, "compact")
        environ = {"KAFKA_BOOTSTRAP_SERVERS": self._kafka} | self._names.settings
        tables = run_flink(
            environ | {"KAFKA_SRC_PRODUCTS_TOPIC": output},
            sql=sql,
            queries=queries,
            options=("--parallelism", str(parallelism)),
        )
        written = await read_topic(self._kafka, output)
        return row_histories(record for records in written.values() for record in records), tables

    def _told(self, found: list[Difference]) -> list[str]:
        return [
            f"{self.events.cases.get(d.product_id, 'random history')} (product {d.product_id}): "
            f"worker {_short(d.worker)}, Flink {_short(d.flink)}"
            for d in found
        ]


async def create_topic(kafka: str, name: str, cleanup_policy: str) -> None:
    """Make a topic of four partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics(
            [NewTopic(name, 4, 1, topic_configs={"cleanup.policy": cleanup_policy})]
        )
    finally:
        await admin.close()


def _short(history: RowHistory) -> str:
    return str([row and (row["last_event_id"], str(row["price"])) for row in history])


def _statistics(counted: Counter[str], rows: Rows) -> list[str]:
    """Compare the four statistics and the number of events that count."""
    if len(rows) != 1:
        return [f"deduplication_stats has {len(rows)} rows"]
    columns = {"change": "changes", "duplicate": "duplicates", "tombstone": "tombstones"}
    found = {outcome: rows[0][columns.get(outcome, outcome)] for outcome in OUTCOMES}
    wanted = {outcome: counted[outcome] for outcome in OUTCOMES}
    failures = [] if found == wanted else [f"statistics: worker {wanted}, Flink {found}"]
    if rows[0]["total_events"] != sum(wanted.values()):
        failures.append(f"valid events: worker {sum(wanted.values())}, Flink {rows[0]}")
    return failures


def _monitoring(
    counted: Counter[str], alive: int, latest: Rows, counts: Rows, products: Rows
) -> list[str]:
    """Compare what the seed's monitoring queries say with what was counted."""
    emitted = counted["change"] + counted["tombstone"]
    total = sum(counted[outcome] for outcome in OUTCOMES)
    said = {
        "10 latest events": len(latest) == 10,
        "raw and deduplicated": {row["source"]: row["events"] for row in counts}
        == {"Raw Events": total, "Deduplicated": emitted},
        "current_product_state": products == [{"products": alive}],
    }
    return [f"monitoring, {name}: wrong" for name, right in said.items() if not right]


def _tables(emitted: Mapping[int, RowHistory], rows: Rows, whose: str) -> list[str]:
    """Compare a table, as Flink reads it, with the last row of every product on its topic."""
    wanted = {
        product_id: (last["product_name"], f"{last['price']:.2f}", last["last_event_id"])
        for product_id, history in emitted.items()
        if (last := history[-1]) is not None
    }
    found = {
        int(row["product_id"]): (row["product_name"], row["price"], row["last_event_id"])
        for row in rows
    }
    if len(rows) == len(found) and found == wanted:
        return []
    return [f"{whose} src_products: {len(wanted)} rows on the topic, {len(rows)} in the table"]


def _by_product(rows: Rows) -> dict[str, dict[str, Any]]:
    return {row["product_id"]: row for row in rows}
