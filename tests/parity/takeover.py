"""Moving between the engines, in both directions: no change lost, none repeated."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from aiokafka import TopicPartition

from dedup.demo.example import differences
from dedup.parity.engine import run_flink
from producer.events import EventGenerator, Mix
from tests.parity.cases import Event
from tests.parity.suite import create_topic
from tests.support.topics import (
    connected,
    emissions,
    end_of,
    ends_of,
    judge,
    produce,
    read_topic,
    wait_until_done,
)
from tests.support.workers import Names, WorkerProcess

HALF = 3_000


async def worker_after_flink(kafka: str, directory: Path) -> list[str]:
    """Flink writes the first half and commits to the worker's group; the worker continues.

    Flink does not wait until its last commit is answered, and a job that ends may lose it. As
    docs/flink.md asks, the offsets are then set before the worker starts.
    """
    names, first, second = await _prepared(kafka)
    await produce(kafka, first, names.source)
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "FLINK_GROUP_ID": names.group} | names.settings
    run_flink(environ, options=["--checkpoints", (directory / "checkpoints").as_uri()])
    if not await end_of(kafka, names.states):
        return ["Flink wrote nothing"]
    await _set_offsets(kafka, names)
    await produce(kafka, second, names.source)
    await _run_worker(kafka, directory / "after-flink", names)
    return await _told(kafka, names, "worker after Flink")


async def flink_after_worker(kafka: str, directory: Path) -> list[str]:
    """The worker does the first half; Flink rebuilds its state from the source and continues."""
    names, first, second = await _prepared(kafka)
    await produce(kafka, first, names.source)
    await _run_worker(kafka, directory / "before-flink", names)
    done = ";".join(
        f"partition:{partition},offset:{offset}"
        for partition, offset in (await ends_of(kafka, names.source)).items()
    )
    await produce(kafka, second, names.source)
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka} | names.settings
    run_flink(environ, options=["--continue-from", done])
    return await _told(kafka, names, "Flink after worker")


async def _set_offsets(kafka: str, names: Names) -> None:
    """Commit the ends of the source topic, all of which Flink has read."""
    ends = await ends_of(kafka, names.source)
    async with connected(
        bootstrap_servers=kafka, group_id=names.group, enable_auto_commit=False
    ) as consumer:
        tps = {TopicPartition(names.source, partition): end for partition, end in ends.items()}
        consumer.assign(list(tps))
        await consumer.commit(tps)


async def _prepared(kafka: str) -> tuple[Names, list[Event], list[Event]]:
    names = Names.fresh()
    await create_topic(kafka, names.source, "delete")
    await create_topic(kafka, names.states, "compact")
    mix = Mix(products=200, late=0.05, deletes=0.05)
    generator = EventGenerator(5, lambda: datetime(2026, 1, 1, tzinfo=UTC), mix)
    events = [(event.key, event.value) for event in islice(generator, 2 * HALF)]
    return names, events[:HALF], events[HALF:]


async def _run_worker(kafka: str, data_dir: Path, names: Names) -> None:
    with WorkerProcess(kafka, data_dir, names.settings) as worker:
        worker.wait_until_ready()
        await wait_until_done(kafka, names)
        worker.terminate()


async def _told(kafka: str, names: Names, who: str) -> list[str]:
    oracle = judge(await read_topic(kafka, names.source))
    emitted = emissions(await read_topic(kafka, names.states))
    return [f"{who}: {found}" for found in differences(oracle.emitted, emitted)]
