"""A dry run beside a worker: it decides the same, and nothing of it reaches Kafka."""

from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition

from producer.events import EventGenerator, Mix
from tests.support.topics import ends_of, produce, wait_until_done
from tests.support.workers import Names, WorkerProcess, wait_until_counted

MIX = Mix(products=100, late=0.05, deletes=0.03, partial=0.1, invalid=0.02)
BEFORE, BESIDE, ALONE = 600, 600, 600


async def committed(kafka: str, names: Names) -> dict[int, int | None]:
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=names.group, enable_auto_commit=False
    ) as consumer:
        return {p: await consumer.committed(TopicPartition(names.source, p)) for p in range(4)}


async def output_ends(kafka: str, names: Names) -> list[dict[int, int]]:
    return [await ends_of(kafka, topic) for topic in (names.states, names.dead_letters)]


async def test_a_dry_run_counts_what_the_worker_beside_it_counts_and_writes_nothing(
    kafka: str, tmp_path: Path
) -> None:
    """It begins with the states of the topic where the worker is; alone, it goes on by its own."""
    names = Names.fresh()
    generator = EventGenerator(21, lambda: datetime(2026, 1, 1, tzinfo=UTC), MIX)
    records = [(e.key, e.value) for e in islice(generator, BEFORE + BESIDE + ALONE)]
    dry = names.settings | {"DEDUP_DRY_RUN": "true"}
    data_dir = tmp_path / "state"
    # The same directory, as a manifest that only adds the setting would have it.
    dry_run = WorkerProcess(kafka, data_dir, dry)
    dry_run.log_path = tmp_path / "dry-run.log"
    with ExitStack() as at_end, WorkerProcess(kafka, data_dir, names.settings) as worker:
        at_end.callback(dry_run.kill)
        worker.wait_until_ready()
        await produce(kafka, records[:BEFORE], names.source)
        await wait_until_done(kafka, names)
        first = wait_until_counted(BEFORE, worker)
        dry_run.start()
        dry_run.wait_until_ready()
        await produce(kafka, records[BEFORE : BEFORE + BESIDE], names.source)
        beside = wait_until_counted(BESIDE, dry_run)
        whole = wait_until_counted(BEFORE + BESIDE, worker)
        assert beside == whole - first
        assert beside["duplicate"] > 100
        assert beside["dead_letter"] > 0
        await wait_until_done(kafka, names)
        assert worker.terminate() == 0

        stood = await output_ends(kafka, names)
        at = await committed(kafka, names)
        await produce(kafka, records[BEFORE + BESIDE :], names.source)
        alone = wait_until_counted(BESIDE + ALONE, dry_run)
        assert dry_run.terminate() == 0
        assert stood == [
            await ends_of(kafka, topic) for topic in (names.states, names.dead_letters)
        ]
        assert at == await committed(kafka, names)

        worker.log_path.unlink()
        worker.start()
        worker.wait_until_ready()
        after = wait_until_counted(ALONE, worker)
        assert after == alone - beside


def test_a_dry_run_makes_no_topics(kafka: str, tmp_path: Path) -> None:
    settings = Names.fresh().settings | {"DEDUP_DRY_RUN": "true"}
    with WorkerProcess(kafka, tmp_path / "state", settings) as dry_run:
        assert dry_run.wait() == 1
        assert "`dedup topics create` creates them." in dry_run.log()
