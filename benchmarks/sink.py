"""How fast `dedup sink postgres` fills and updates a table, and Kafka Connect beside it.

`make bench-sink`. The topic holds `--rows` records over half as many products, so every second one
updates a row. Each run has a PostgreSQL 18 of its own, as it comes (fsync on), with an empty table
and a group that is new; broker and PostgreSQL share the machine with the contender, which is a
process of its own. The contenders run in turn. A figure counts only if the table then is right.

**The clock** is the same for all and is the table's: what a reader sees. Of the records of each
partition every hundredth part has a mark, whose product is looked up ten times a second: the last
one that is in the table says how far the partition was applied, for each sink applies a partition
in order. That is a look-up of some hundred primary keys, and works for whatever writes, whenever
it commits to its group. Rate, CPU and memory are those of the window of docs/performance.md, from
a tenth of the records to nine tenths, so without start-up; beside it is the rate from the
process's start to its last row.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
from aiokafka import AIOKafkaProducer

from benchmarks.clock import Figures, Progress, RunFailedError
from benchmarks.contender import Command, Contender, Judgement, Run
from benchmarks.measuring import FIRST_RECORD_WITHIN_S, SAMPLE_S, STALLED_S, Processes
from benchmarks.peers.kafka_connect import KAFKA_CONNECT
from benchmarks.report import RESULTS, command_text, machine, markdown, plot, today, write_result
from benchmarks.rounds import in_turn, say
from dedup.entities.product import PRODUCT
from dedup.localkafka import OPTIMISED, LocalKafka
from dedup.sink.statements import tables_named
from tests.support.postgres import PostgresServer
from tests.support.rows import PARTITIONS, expected_row, make_topic, row

PACKAGES: Final = ("product-dedup", "aiokafka", "psycopg", "pydantic")
BATCH_BYTES: Final = 256 * 1024
MARKS: Final = 100
"""Marks of a partition."""


def numbered(rows: int) -> Iterator[tuple[int, int, int]]:
    """Return partition, product and version of each record; each product comes twice."""
    products = max(1, rows // 2)
    for number in range(rows):
        product_id = number % products + 1
        yield product_id % PARTITIONS, product_id, number + 1


async def fill(servers: str, topic: str, rows: int) -> None:
    """Write the records in large batches."""
    async with AIOKafkaProducer(bootstrap_servers=servers, max_batch_size=BATCH_BYTES) as producer:
        batches = {p: producer.create_batch() for p in range(PARTITIONS)}
        for partition, product_id, number in numbered(rows):
            key = b'{"product_id":%d}' % product_id
            value = json.dumps(row(product_id, number)).encode()
            while batches[partition].append(timestamp=None, key=key, value=value) is None:
                await producer.send_batch(batches[partition], topic, partition=partition)
                batches[partition] = producer.create_batch()
        for partition, batch in batches.items():
            await producer.send_batch(batch, topic, partition=partition)


class Mark(NamedTuple):
    """A record that tells how far its partition was applied: so many records, it included."""

    product_id: int
    version: int
    done: int


class Marks:
    """The marks of a topic's partitions."""

    def __init__(self, rows: int) -> None:
        of: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for partition, product_id, number in numbered(rows):
            of[partition].append((product_id, number))
        self._partitions = [
            [
                Mark(*records[len(records) * part // MARKS - 1], len(records) * part // MARKS)
                for part in range(1, MARKS + 1)
            ]
            for records in of.values()
        ]
        self.products = sorted({mark.product_id for marks in self._partitions for mark in marks})

    def done(self, versions: Mapping[int, int]) -> int:
        """Return how many records were applied, when these products have these versions."""
        return sum(
            max(
                (mark.done for mark in marks if versions.get(mark.product_id, 0) >= mark.version),
                default=0,
            )
            for marks in self._partitions
        )


def _ours(run: Run) -> Sequence[Command]:
    environ = run.environ(
        KAFKA_BOOTSTRAP_SERVERS=run.servers,
        KAFKA_SRC_PRODUCTS_TOPIC=run.source,
        POSTGRES_DSN=run.output,
        SINK_GROUP=run.group,
    )
    command = "from dedup.cli import cli; cli()"
    return [Command([sys.executable, "-c", command, "sink", "postgres"], environ)]


CONTENDERS: Final = (
    Contender(
        "ours-sink",
        "**product-dedup**, dedup sink postgres",
        _ours,
        Judgement.FINAL_STATE,
        lambda: {name: version(name) for name in PACKAGES},
    ),
    *KAFKA_CONNECT,
)


@dataclass(frozen=True)
class SinkFigures(Figures):
    """The events are records; from the start of the process to its last row as well."""

    from_start_events_per_s: float


class Topic(NamedTuple):
    """The filled topic: its records, and what tells how many of them were applied."""

    name: str
    rows: int
    marks: Marks


async def measure(contender: Contender, kafka: LocalKafka, topic: Topic) -> SinkFigures:
    """Run a sink once into an empty table. Raises RunFailedError, also for a wrong table."""
    with (
        PostgresServer() as postgres,
        tempfile.TemporaryDirectory(prefix="bench-sink-") as directory,
        psycopg.connect(postgres.dsn, autocommit=True) as connection,
    ):
        connection.execute(tables_named("products", PRODUCT).create())
        run = Run(
            servers=kafka.bootstrap_servers,
            source=topic.name,
            output=postgres.dsn,
            dead_letters="",
            group=f"bench-{uuid.uuid4().hex[:8]}",
            directory=Path(directory),
            warm_up_output=None,
        )
        begun_ms = time.time() * 1000
        processes = Processes(contender, run, kafka.pid)
        try:
            progress = await _watch(processes, connection, topic)
        finally:
            await processes.ended()
        _check(connection, topic)
    figures = progress.figures(processes.samples, begun_ms, topic.rows)
    from_start = round(topic.rows / (progress.stamps_ms[-1] - begun_ms) * 1000)
    return SinkFigures(**asdict(figures), from_start_events_per_s=from_start)


async def _watch(processes: Processes, connection: psycopg.Connection, topic: Topic) -> Progress:
    """Sample until the last record is in the table. Raises RunFailedError when none comes."""
    stamps_ms: list[float] = []
    done = [0]
    grown_at = time.monotonic()
    while done[-1] < topic.rows:
        await asyncio.sleep(SAMPLE_S)
        processes.sample()
        now_ms = time.time() * 1000
        found = connection.execute(
            "SELECT product_id, stock_quantity FROM products WHERE product_id = ANY(%s)",
            [topic.marks.products],
        ).fetchall()
        applied = topic.marks.done(dict(found))
        if applied > done[-1]:
            stamps_ms.append(now_ms)
            done.append(applied)
            grown_at = time.monotonic()
        elif time.monotonic() - grown_at > (STALLED_S if stamps_ms else FIRST_RECORD_WITHIN_S):
            raise RunFailedError(f"only {done[-1]} of {topic.rows} records: {processes.log()}")
    return Progress(stamps_ms, done[1:], topic.rows)


def _check(connection: psycopg.Connection, topic: Topic) -> None:
    """Compare the table's count and sum, and the rows of the marks. Raises RunFailedError."""
    last = {product_id: number for _, product_id, number in numbered(topic.rows)}
    expected = (len(last), sum(last.values()))
    asked = connection.execute("SELECT count(*), sum(stock_quantity) FROM products").fetchone()
    if asked != expected:
        raise RunFailedError(f"the table is wrong: count and sum are {asked}, not {expected}")
    for product_id, *found in connection.execute(
        "SELECT product_id, product_name, description, price::numeric, stock_quantity, "
        "discount::numeric, created_at::timestamptz, updated_at::timestamptz FROM products "
        "WHERE product_id = ANY(%s)",
        [topic.marks.products],
    ):
        wanted = expected_row(row(product_id, last[product_id]))
        if tuple(found) != wanted:
            raise RunFailedError(f"the table is wrong: {product_id} is {found}, not {wanted}")


async def run(rows: int, rounds: int) -> dict[str, Any]:
    """Measure everyone; gives what the result file holds."""
    about = machine()
    with LocalKafka(jvm_options=OPTIMISED) as kafka:
        say(f"Producing {rows:,} records")
        topic = Topic(await make_topic(kafka.bootstrap_servers), rows, Marks(rows))
        await fill(kafka.bootstrap_servers, topic.name, rows)
        outcomes = await in_turn(CONTENDERS, rounds, lambda each: measure(each, kafka, topic))
    return {
        "kind": "sink",
        "what": "records/s of a sink into PostgreSQL, as a reader of the table sees it",
        "command": command_text("benchmarks.sink"),
        "date": today(),
        "machine": {**about, "postgresql": "18"},
        "conditions": f"{rows:,} records of {max(1, rows // 2):,} products into PostgreSQL",
        "contenders": [outcome.record() for outcome in outcomes],
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the result files and print the table; exit 1 if a table was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--name", help="of the result files")
    arguments = parser.parse_args(argv)
    result = asyncio.run(run(arguments.rows, arguments.rounds))
    name = arguments.name or f"{today()}-sink-{arguments.rows}"
    write_result(name, result, markdown(result))
    plot(result, RESULTS / f"{name}.svg")
    sys.exit(any(each["failures"] for each in result["contenders"]))


if __name__ == "__main__":
    main()
