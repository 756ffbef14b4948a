"""How many events a second one worker deduplicates, for each guarantee.

`make bench` starts an embedded broker, produces the events, and lets a fresh
worker work them off, several rounds, the guarantees in turn. The clock is the broker's: the output
topic stamps records when it appends them, and the rate is events over the time from its first
to its last record - so start-up is left out, and a record counts when it is durable. Every
round's output is held against the oracle before its figure counts.

The result goes to benchmarks/results as JSON.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Final

import psutil
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from dedup.kafkajars import kafka_version
from dedup.localkafka import LocalKafka
from dedup.oracle import History, differences
from producer.events import EventGenerator, Mix
from producer.kafka import produce
from producer.settings import KafkaSettings
from tests.workers import Names, WorkerProcess, emissions, judge, read_topic, wait_until_done

GUARANTEES: Final = ("exactly_once", "at_least_once")
PACKAGES: Final = ("faust-streaming", "aiokafka", "rocksdict", "pydantic", "msgspec")
RESULTS: Final = Path(__file__).parent / "results"


async def _make_states_topic(servers: str, names: Names) -> None:
    """Make the output topic stamp what it appends."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        config = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
        await admin.create_topics([NewTopic(names.states, 4, 1, topic_configs=config)])
    finally:
        await admin.close()


async def _round(servers: str, guarantee: str, expected: History, events: int) -> dict[str, Any]:
    fresh = Names.fresh()
    names = Names("products", fresh.states, fresh.dead_letters, fresh.group)
    await _make_states_topic(servers, names)
    directory = Path(tempfile.mkdtemp())
    settings = {**names.settings, "DEDUP_GUARANTEE": guarantee}
    try:
        with WorkerProcess(servers, directory / "state", settings) as worker:
            worker.wait_until_ready()
            await wait_until_done(servers, names)
            process = psutil.Process(worker.process.pid)
            cpu = process.cpu_times()
            rss = process.memory_info().rss
    finally:
        shutil.rmtree(directory)
    output = await read_topic(servers, names.states)
    if wrong := differences(expected, emissions(output)):
        sys.exit(f"{guarantee}: the output is wrong, its figure does not count: {wrong[0]}")
    stamps = [record.timestamp for records in output.values() for record in records]
    seconds = (max(stamps) - min(stamps)) / 1000
    return {
        "events_per_s": round(events / seconds),
        "seconds": seconds,
        "cpu_s": round(cpu.user + cpu.system, 2),
        "rss_mib": round(rss / 2**20),
    }


async def run(events: int, products: int, rounds: int) -> dict[str, Any]:
    """Measure; gives what the result file holds."""
    with LocalKafka() as kafka:
        servers = kafka.bootstrap_servers
        generator = EventGenerator(1, lambda: datetime.now(UTC), Mix(products=products))
        await produce(islice(generator, events), KafkaSettings(KAFKA_BOOTSTRAP_SERVERS=servers))
        expected = judge(await read_topic(servers, "products")).emitted
        results: dict[str, list[dict[str, Any]]] = {guarantee: [] for guarantee in GUARANTEES}
        for _ in range(rounds):
            for guarantee in GUARANTEES:
                results[guarantee].append(await _round(servers, guarantee, expected, events))
                print(guarantee, results[guarantee][-1], file=sys.stderr, flush=True)  # noqa: T201
    return {
        "what": "events/s of one worker, by the broker's clock of the output",
        "command": f"python -m benchmarks.worker --events {events} --products {products} "
        f"--rounds {rounds}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, shared with the broker, {platform.platform()}",
        "versions": {
            "python": platform.python_version(),
            "kafka": kafka_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "median_events_per_s": {
            guarantee: statistics.median(r["events_per_s"] for r in of)
            for guarantee, of in results.items()
        },
        "rounds": results,
    }


def main() -> None:
    """Measure and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--products", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    result = asyncio.run(run(arguments.events, arguments.products, arguments.rounds))
    path = RESULTS / f"{result['date']}-worker-{arguments.events}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["median_events_per_s"]), path)  # noqa: T201 - this is the output


if __name__ == "__main__":
    main()
