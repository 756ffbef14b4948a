"""A disk that becomes full while a worker is at work, and has room again after a restart."""

import asyncio
from contextlib import suppress
from pathlib import Path

from tests.support.disks import enlarge, small_disk
from tests.support.polling import until
from tests.support.states import different_states, expected_states, states_on_disk
from tests.support.topics import emissions, judge, read_topic, wait_until_done
from tests.support.wide import Feed, wide_events
from tests.support.workers import Names, WorkerProcess


async def test_after_a_full_disk_has_room_again_output_and_states_are_exact(
    kafka: str, tmp_path: Path
) -> None:
    names = Names.fresh()
    with small_disk(tmp_path / "disk") as disk:
        worker = WorkerProcess(kafka, disk / "data", names.settings)
        worker.log_path = tmp_path / "worker.log"
        with worker:
            worker.wait_until_ready()
            feed = Feed(kafka, names, wide_events(9, products=2_000, width=4_000))
            feeding = asyncio.create_task(feed.run(rate=2_000))
            await until(lambda: not worker.alive)
            assert worker.wait() == 1
            assert "disk is full: free some space, or set DEDUP_DATA_DIR" in worker.log()
            assert "damaged" not in worker.log()
            enlarge(disk)
            at = feed.sent
            worker.start()
            await until(lambda: feed.sent > at + 4_000)
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding
            await wait_until_done(kafka, names)
            assert worker.terminate() == 0
        source = await read_topic(kafka, names.source)
        states = states_on_disk([worker.data_dir])

    assert different_states(expected_states(source), states) == []
    assert emissions(await read_topic(kafka, names.states)) == judge(source).emitted
    assert "damaged" not in worker.log()
