"""A worker whose batches of partition 0 hang until a file is there."""

from collections.abc import Callable
from pathlib import Path

from aiokafka import AIOKafkaProducer

from tests.support.records import event
from tests.support.workers import Names, WorkerProcess

TOKEN = "abcdefghijklmnop-0123"  # noqa: S105 - opens nothing but the test's server
SECRET_NAME = "Lamp of the secret event"  # noqa: S105 - what must not be in a dump

WORKER = """
import asyncio
import time
from pathlib import Path

import dedup
from dedup.observability import stalls
from dedup.streaming import watchdog
from dedup.streaming.publisher import KafkaPublisher

stalls.STALLED_AFTER_S = 3.0
watchdog.LOOK_EVERY_S = 0.2
publish = KafkaPublisher.publish


async def hang_until_released(release):
    while not release.exists():
        PAUSE(0.05)


async def publish_late(self, output):
    if output.partition == 0:
        release = dedup.app.settings.DEDUP_DATA_DIR.with_suffix(".release")
        await hang_until_released(release)
    return await publish(self, output)


KafkaPublisher.publish = publish_late
from faust.cli.faust import cli

cli(["-A", "dedup", "worker"])
"""


def started(
    kafka: str, directory: Path, names: Names, pause: str, *, partitions: int
) -> WorkerProcess:
    settings = {
        **names.settings,
        "DEDUP_PARTITIONS": str(partitions),
        "DEDUP_WEB_TOKEN": TOKEN,
    }
    worker = WorkerProcess(kafka, directory / "state", settings)
    worker.start("-c", WORKER.replace("PAUSE", pause))
    return worker


def release(worker: WorkerProcess) -> None:
    worker.data_dir.with_suffix(".release").touch()


async def send(kafka: str, names: Names, *partitions: int) -> None:
    """Append one event to each of these partitions."""
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for number, partition in enumerate(partitions, 1):
            value = event(number, action="created", product_name=SECRET_NAME)
            await producer.send_and_wait(names.source, value, b"%d" % number, partition=partition)


def logged(worker: WorkerProcess, text: str) -> Callable[[], bool]:
    def is_logged() -> bool:
        assert worker.alive, worker.log()
        return text in worker.log()

    return is_logged
