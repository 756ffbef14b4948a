"""`dedup parity` as a user calls it: on topics that agree, and on topics that don't."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from dedup.core.keys import Keys
from dedup.entities.resolve import resolve_entity
from dedup.parity.compare import row_histories
from tests.parity.cases import Event
from tests.support.topics import produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess


async def parity_command(
    kafka: str, directory: Path, setting: str, events: list[Event]
) -> list[str]:
    """Return what it said wrongly: that equal topics differ, or that others are equal."""
    names, entity = Names.fresh(), resolve_entity(setting)
    settings = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "DEDUP_ENTITY": setting, **names.settings}
    with WorkerProcess(kafka, directory / "state", settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, events, names.source)
        await wait_until_done(kafka, names)
        worker.terminate()
    failures = []
    equal = _call(settings)
    if equal.returncode != 0 or "none of them differ" not in equal.stdout:
        failures.append(f"on equal topics: {equal.stdout}{equal.stderr}")

    output = (await read_topic(kafka, names.states)).values()
    histories = row_histories(entity, (record for records in output for record in records))
    row_id = next(i for i, history in histories.items() if history[-1] is not None)
    key = Keys(entity).write(row_id, "json")
    await produce(kafka, [(key, None)], names.states, partition_key=str(row_id).encode())
    other = _call(settings)
    if other.returncode != 1 or f"{entity.name} {row_id}\n" not in other.stdout:
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


def _call(settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("dedup")), "parity"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
