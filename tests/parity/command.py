"""`dedup parity` as a user calls it: on topics that agree, and on topics that don't."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

from aiokafka.admin import AIOKafkaAdminClient

from tests.parity.walks import walk
from tests.support.topics import emissions, produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess


async def parity_command(kafka: str, directory: Path) -> list[str]:
    """Return what it said wrongly: that equal topics differ, or that others are equal."""
    names = Names.fresh()
    random = Random(1)
    events = [event for number in range(20) for event in walk(random, 1 + 3 * number)]
    with WorkerProcess(kafka, directory / "state", names.settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, events, names.source)
        await wait_until_done(kafka, names)
        worker.terminate()
    failures = []
    equal = _call(kafka, names)
    if equal.returncode != 0 or "none of them differ" not in equal.stdout:
        failures.append(f"on equal topics: {equal.stdout}{equal.stderr}")

    output = emissions(await read_topic(kafka, names.states))
    product_id = next(i for i, history in output.items() if history[-1] is not None)
    key = json.dumps({"product_id": product_id}, separators=(",", ":")).encode()
    await produce(kafka, [(key, None)], names.states, partition_key=b"%d" % product_id)
    other = _call(kafka, names)
    if other.returncode != 1 or f"product {product_id}\n" not in other.stdout:
        failures.append(f"after a stray tombstone: {other.stdout}{other.stderr}")
    return failures + await _left_behind(kafka, names)


async def _left_behind(kafka: str, names: Names) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        topics = await admin.list_topics()
    finally:
        await admin.close()
    return [f"{t} was left" for t in topics if t.startswith(f"{names.states}.parity")]


def _call(kafka: str, names: Names) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("dedup")), "parity"],
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings},
        capture_output=True,
        text=True,
        check=False,
    )
