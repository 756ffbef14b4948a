"""How fast `dedup sink postgres` fills and updates a table: `python -m benchmarks.sink`.

The topic holds `--rows` records over half as many products, so every second one updates a row.
PostgreSQL 18 as it comes (fsync on) and the broker share the machine with the sink, which is a
process of its own. The clock is the sink process's: from its start to its exit with `--once`.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from dedup.kafkajars import kafka_version
from dedup.localkafka import LocalKafka
from tests.sink.server import PostgresServer
from tests.sink.topic import PARTITIONS, make_topic, row

RESULTS: Final = Path(__file__).parent / "results"
PACKAGES: Final = ("aiokafka", "psycopg", "pydantic")
BATCH_BYTES: Final = 256 * 1024


def records(rows: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Give partition, key and value; each product comes twice."""
    products = max(1, rows // 2)
    for number in range(rows):
        product_id = number % products + 1
        value = json.dumps(row(product_id, number + 1)).encode()
        yield product_id % PARTITIONS, b'{"product_id":%d}' % product_id, value


async def fill(servers: str, topic: str, rows: int) -> None:
    """Write the records in large batches."""
    async with AIOKafkaProducer(bootstrap_servers=servers, max_batch_size=BATCH_BYTES) as producer:
        batches = {p: producer.create_batch() for p in range(PARTITIONS)}
        for partition, key, value in records(rows):
            while batches[partition].append(timestamp=None, key=key, value=value) is None:
                await producer.send_batch(batches[partition], topic, partition=partition)
                batches[partition] = producer.create_batch()
        for partition, batch in batches.items():
            await producer.send_batch(batch, topic, partition=partition)


def measure(servers: str, topic: str, rows: int, number: int) -> dict[str, Any]:
    """Run the sink once into an empty cluster; check what it left."""
    with PostgresServer() as postgres:
        own = {
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "KAFKA_SRC_PRODUCTS_TOPIC": topic,
            "POSTGRES_DSN": postgres.dsn,
            "SINK_GROUP": f"benchmark-{number}",
        }
        command = "from dedup.cli import cli; cli()"
        began = time.perf_counter()
        subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-c", command, "sink", "postgres", "--once"],
            env=os.environ | own,
            check=True,
        )
        seconds = time.perf_counter() - began
        ((count, stock),) = postgres.ask("SELECT count(*), sum(stock_quantity) FROM products")
    products = max(1, rows // 2)
    expected = sum(range(rows - products + 1, rows + 1))
    if (count, stock) != (products, expected):
        raise SystemExit(f"The table is wrong: {count} products, versions {stock}, not {expected}.")
    return {"rows_per_s": rows / seconds, "seconds": seconds}


async def run(rows: int, rounds: int) -> dict[str, Any]:
    """Measure; gives what the result file holds."""
    results = []
    with LocalKafka() as kafka:
        topic = await make_topic(kafka.bootstrap_servers)
        await fill(kafka.bootstrap_servers, topic, rows)
        for number in range(rounds):
            servers = kafka.bootstrap_servers
            results.append(await asyncio.to_thread(measure, servers, topic, rows, number))
            print(results[-1], file=sys.stderr, flush=True)  # noqa: T201
    return {
        "what": "records/s of one sink into PostgreSQL, from its start to its exit",
        "command": f"python -m benchmarks.sink --rows {rows} --rounds {rounds}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, shared with broker and PostgreSQL, "
        f"{platform.platform()}",
        "versions": {
            "python": platform.python_version(),
            "kafka": kafka_version(),
            "postgresql": "18",
            **{name: version(name) for name in PACKAGES},
        },
        "median_rows_per_s": statistics.median(result["rows_per_s"] for result in results),
        "rounds": results,
    }


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    result = asyncio.run(run(arguments.rows, arguments.rounds))
    path = RESULTS / f"{result['date']}-sink-{arguments.rows}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["median_rows_per_s"]), path)  # noqa: T201 - this is the output


if __name__ == "__main__":
    main()
