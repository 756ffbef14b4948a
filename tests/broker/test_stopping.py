"""A worker that is asked to stop leaves its group, whatever the group waits for."""

import asyncio
from pathlib import Path

from dedup.streaming.shutdown import STOP_WITHIN_S
from tests.broker.stalled import logged, release, send, started
from tests.support.polling import until
from tests.support.topics import read_topic
from tests.support.workers import Names, WorkerProcess


async def test_a_worker_whose_group_waits_for_another_member_stops(
    kafka: str, tmp_path: Path
) -> None:
    """The other one has a batch in progress, for which the group waits half a minute."""
    names = Names.fresh()
    other = started(kafka, tmp_path, names, "await asyncio.sleep", partitions=1)
    worker = WorkerProcess(kafka, tmp_path / "joining", names.settings)
    try:
        await asyncio.to_thread(other.wait_until_ready)
        await send(kafka, names, 0)
        await until(logged(other, "makes no progress"))
        worker.start()
        await until(logged(worker, "(Re-)joining group"))
        worker.process.terminate()
        assert await asyncio.to_thread(worker.wait, STOP_WITHIN_S - 5) == 0
        assert " WARNING " not in worker.log(), worker.log()
        assert " ERROR " not in worker.log(), worker.log()
        assert "Traceback" not in worker.log(), worker.log()
        release(other)
        assert await asyncio.to_thread(other.terminate) == 0
        assert len((await read_topic(kafka, names.states, 1))[0]) == 1
    finally:
        worker.kill()
        other.kill()


HANGS_WHEN_STOPPED = """
import asyncio

from dedup.streaming import shutdown
from dedup.streaming.publisher import KafkaPublisher

shutdown.STOP_WITHIN_S = 3.0


async def hang(_):
    await asyncio.Future()


KafkaPublisher.on_stop = hang
from faust.cli.faust import cli

cli(["-A", "dedup", "worker"])
"""


async def test_a_worker_ends_though_something_does_not_stop(kafka: str, tmp_path: Path) -> None:
    """It says so. What hangs is the publisher, as a client whose brokers are away may."""
    names = Names.fresh()
    worker = WorkerProcess(kafka, tmp_path / "state", names.settings)
    worker.start("-c", HANGS_WHEN_STOPPED)
    try:
        await asyncio.to_thread(worker.wait_until_ready)
        assert await asyncio.to_thread(worker.terminate) == 0
    finally:
        worker.kill()
    assert worker.log().count("The worker did not stop within 3 s and ends now.") == 1
