"""One run of the parity suite: the same events through a real worker and through real Flink."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from dedup.core.entity import Entity
from dedup.core.keys import Id, Keys
from dedup.entities.resolve import resolve_entity
from dedup.parity.compare import (
    Difference,
    Row,
    RowHistory,
    comparable,
    differences,
    differing_columns,
    row_histories,
    row_kinds,
    shown,
)
from dedup.parity.engine import Rows, run_flink
from dedup.parity.reference import sql_of
from dedup.settings import load_settings
from tests.parity.cases import Event
from tests.support.administration import admin, create
from tests.support.topics import Records, partition_of, produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess, wait_until_counted

OUTCOMES: Final = ("change", "refresh", "duplicate", "stale", "tombstone")
_COLUMNS: Final = {
    "change": "changes",
    "refresh": "refreshes",
    "duplicate": "duplicates",
    "tombstone": "tombstones",
}
_STATS: Final = "SELECT * FROM deduplication_stats"


@dataclass(frozen=True)
class Events:
    """What is put on the source topic: the events, and whose row is whose."""

    events: list[Event]
    cases: Mapping[Id, str]
    walks: int


@dataclass
class Result:
    """What the engines said. `failures` are sentences; none means parity."""

    worker: Mapping[Id, RowHistory] = field(default_factory=dict)
    flink: Mapping[Id, RowHistory] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Engines:
    """A broker's topics for one set of events, the worker run once, Flink as often as wanted.

    `entity` is a value of DEDUP_ENTITY, `settings` are others of the worker.
    """

    def __init__(
        self,
        kafka: str,
        directory: Path,
        events: Events,
        entity: str,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.events = events
        self.names: Final = Names.fresh()
        self.entity: Final = resolve_entity(entity)
        self._kafka = kafka
        self._directory = directory
        self._environ: Final = {**self.names.settings, "DEDUP_ENTITY": entity, **settings}
        self._counted: Counter[str] = Counter()
        self._worker: Mapping[Id, RowHistory] = {}

    async def run_worker(self) -> Records:
        """Let the worker do everything; return its output."""
        names = self.names
        with WorkerProcess(self._kafka, self._directory / "state", self._environ) as worker:
            worker.wait_until_ready()
            await produce(self._kafka, self.events.events, names.source)
            await wait_until_done(self._kafka, names)
            self._counted = wait_until_counted(len(self.events.events), worker)
            worker.terminate()
        output = await read_topic(self._kafka, names.states)
        self._worker = self._histories(output)
        return output

    def sql(self) -> str:
        """Return the reference of the entity, as `dedup flink-sql` prints it."""
        return sql_of(load_settings(self._environ))

    async def compare(self, *, parallelism: int = 1) -> Result:
        """Run Flink on the same events; compare sequences, tables and statistics."""
        table = _table(self.entity)
        of_worker = f"{table} /*+ OPTIONS('topic' = '{self.names.states}') */"
        queries = (_STATS, table, of_worker, *_monitoring_queries(self.entity))
        written, tables = await self._run_flink(self.sql(), queries, parallelism)
        flink = self._histories(written)
        stats, table_of_flink, table_of_worker, *monitoring = tables
        result = Result(self._worker, flink, self._counted)
        result.failures += self._told(differences(self._worker, flink))
        result.failures += _misplaced(self.entity, written)
        result.failures += _statistics(self._counted, stats)
        result.failures += _tables(self.entity, self._worker, table_of_worker, "the worker's")
        result.failures += _tables(self.entity, flink, table_of_flink, "Flink's")
        result.failures += _monitoring(self._counted, len(table_of_flink), *monitoring)
        return result

    async def compare_sequences(self) -> Result:
        """Run Flink on the same events; compare sequences and statistics alone."""
        written, [stats] = await self._run_flink(self.sql(), (_STATS,), parallelism=1)
        result = Result(self._worker, self._histories(written), self._counted)
        result.failures += self._told(differences(self._worker, result.flink))
        result.failures += _statistics(self._counted, stats)
        return result

    async def differences(self, sql: str | None = None) -> list[str]:
        """Run Flink on the same events, perhaps with other SQL; say whose sequence differs."""
        written, _ = await self._run_flink(sql or self.sql(), (), parallelism=1)
        return self._told(differences(self._worker, self._histories(written)))

    async def _run_flink(
        self, sql: str, queries: tuple[str, ...], parallelism: int
    ) -> tuple[Records, list[Rows]]:
        output = Names.fresh().states
        await create_topic(self._kafka, output, "compact")
        environ = {"KAFKA_BOOTSTRAP_SERVERS": self._kafka} | self.names.settings
        script = self._directory / "reference.sql"
        script.write_text(sql, encoding="utf-8")
        tables = run_flink(
            environ | {"KAFKA_SRC_PRODUCTS_TOPIC": output},
            sql=script,
            queries=queries,
            options=("--parallelism", str(parallelism)),
        )
        return await read_topic(self._kafka, output), tables

    def _histories(self, written: Records) -> dict[Id, list[Row | None]]:
        return row_histories(self.entity, (r for records in written.values() for r in records))

    def _told(self, found: list[Difference]) -> list[str]:
        return [
            f"{self.events.cases.get(d.id, 'random history')} ({self.entity.name} {d.id}): "
            f"worker {self._short(d, d.worker)}, Flink {self._short(d, d.flink)}"
            for d in found
        ]

    def _short(self, difference: Difference, history: RowHistory) -> str:
        provenance = self.entity.provenance
        first = "last_event_id" if "last_event_id" in provenance else "last_event_timestamp"
        columns = differing_columns(difference.worker, difference.flink)
        return str([shown(row, sorted({first, *columns})) for row in history])


async def create_topic(kafka: str, name: str, cleanup_policy: str) -> None:
    """Make a topic of four partitions."""
    async with admin(kafka) as client:
        await create(client, name, cleanup_policy=cleanup_policy)


def _table(entity: Entity) -> str:
    columns = ", ".join(f"CAST(`{name}` AS STRING) AS `{name}`" for name in row_kinds(entity))
    return f"SELECT {columns} FROM src_{entity.plural}"  # noqa: S608 - names of columns


def _monitoring_queries(entity: Entity) -> tuple[str, str, str]:
    """Return the example queries of the script."""
    flattened = f"FROM {entity.name}_events_flattened"
    count = "SELECT '{}' AS source, COUNT(*) AS events {}"
    raw = count.format("Raw Events", flattened)
    rest = count.format("Deduplicated", f"FROM {entity.name}_events_deduplicated")
    return (
        f"SELECT `{entity.id}`, event_timestamp {flattened} ORDER BY event_timestamp DESC LIMIT 10",
        f"{raw} UNION ALL {rest}",
        f"SELECT COUNT(*) AS alive FROM current_{entity.name}_state",  # noqa: S608 - as above
    )


def _misplaced(entity: Entity, written: Records) -> list[str]:
    """Compare the partitions of Flink's records with those of the source, where ids are keys."""
    if entity.key_form != "text":
        return []
    keys = Keys(entity)
    wrong = [
        record.key
        for partition, records in written.items()
        for record in records
        if partition_of(str(keys.read_output(record.key)).encode()) != partition
    ]
    return [f"{len(wrong)} records in another partition: {wrong[0]!r}"] if wrong else []


def _statistics(counted: Counter[str], rows: Rows) -> list[str]:
    """Compare the statistics of each outcome and the number of events that count."""
    if len(rows) != 1:
        return [f"deduplication_stats has {len(rows)} rows"]
    found = {outcome: rows[0].get(_COLUMNS.get(outcome, outcome), 0) for outcome in OUTCOMES}
    wanted = {outcome: counted[outcome] for outcome in OUTCOMES}
    failures = [] if found == wanted else [f"statistics: worker {wanted}, Flink {found}"]
    if rows[0]["total_events"] != sum(wanted.values()):
        failures.append(f"valid events: worker {sum(wanted.values())}, Flink {rows[0]}")
    return failures


def _monitoring(
    counted: Counter[str], alive: int, latest: Rows, counts: Rows, rows: Rows
) -> list[str]:
    """Compare what the seed's monitoring queries say with what was counted."""
    emitted = counted["change"] + counted["refresh"] + counted["tombstone"]
    total = sum(counted[outcome] for outcome in OUTCOMES)
    said = {
        "10 latest events": len(latest) == 10,
        "raw and deduplicated": {row["source"]: row["events"] for row in counts}
        == {"Raw Events": total, "Deduplicated": emitted},
        "the current state": rows == [{"alive": alive}],
    }
    return [f"monitoring, {name}: wrong" for name, right in said.items() if not right]


def _tables(entity: Entity, emitted: Mapping[Id, RowHistory], rows: Rows, whose: str) -> list[str]:
    """Compare a table, as Flink reads it, with the last row of every id on its topic."""
    kinds = row_kinds(entity)
    wanted = {str(i): history[-1] for i, history in emitted.items() if history[-1] is not None}
    found = {
        row[entity.id]: {name: _of_table(kind, row[name]) for name, kind in kinds.items()}
        for row in rows
    }
    if len(rows) == len(found) and found == wanted:
        return []
    wrong = [i for i in wanted.keys() | found.keys() if wanted.get(i) != found.get(i)]
    told = [f"{i}: topic {wanted.get(i)}, table {found.get(i)}" for i in wrong[:3]]
    return [f"{whose} table differs from its topic in {len(wrong)} rows: {told}"]


def _of_table(kind: str, text: str | None) -> Any:
    """Return a value that Flink cast to STRING, as the comparison of rows has it."""
    if text is None:
        return None
    match kind:
        case "decimal" | "time":
            return comparable(kind, text)
        case "integer" | "boolean" | "json":
            return comparable(kind, json.loads(text.lower() if kind == "boolean" else text))
    return comparable(kind, text)
