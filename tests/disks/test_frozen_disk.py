"""A worker whose disk takes no writes for longer than its session.

A file system in a loop device is frozen (`fsfreeze`), as for a snapshot of a machine: every write
to it and every new file waits in the kernel until it is thawed. It needs root and a loop device,
which a container seldom has: `make test-disks`.
"""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dedup.streaming.wiring import SESSION_TIMEOUT_S
from tests.support.administration import admin
from tests.support.disks import frozen, loop_disk
from tests.support.polling import until
from tests.support.states import different_states, expected_states, states_on_disk
from tests.support.topics import emissions, end_of, judge, read_topic, wait_until_done
from tests.support.wide import Feed, peak_mebibytes, wide_events
from tests.support.workers import Names, WorkerProcess

FROZEN_S = 3 * SESSION_TIMEOUT_S
RATE, PRODUCTS, WIDTH = 1_500, 20_000, 8_000
"""12 MB a second: more than a worker keeps in memory while its disk is frozen."""

MOST_MEBIBYTES = 450


async def members(kafka: str, group: str) -> list[Any]:
    """The ids of the members of a group: one that was expelled comes back with another."""
    async with admin(kafka) as client:
        (answer,) = await client.describe_consumer_groups([group])
        ((_, _, state, _, _, found, *_),) = answer.groups
        return [state, *(member[0] for member in found)]


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_a_disk_that_takes_nothing_costs_neither_membership_nor_states(
    kafka: str, tmp_path: Path, guarantee: str
) -> None:
    names, held_up = Names.fresh(), 0
    settings = {**names.settings, "DEDUP_GUARANTEE": guarantee}
    with loop_disk(tmp_path / "disk") as disk:
        worker = WorkerProcess(kafka, disk / "data", settings)
        worker.log_path = tmp_path / "worker.log"  # on another disk
        with worker:
            worker.wait_until_ready()
            feed = Feed(kafka, names, wide_events(7, PRODUCTS, WIDTH))
            feeding = asyncio.create_task(feed.run(RATE))
            await until(lambda: feed.sent > 3 * RATE)
            before = await members(kafka, names.group)
            with frozen(disk):
                begun = time.monotonic()
                while time.monotonic() - begun < FROZEN_S:
                    end = await end_of(kafka, names.states)
                    await asyncio.sleep(1)
                    held_up += await end_of(kafka, names.states) == end
                    assert await members(kafka, names.group) == before
                    await asyncio.to_thread(worker.metrics)  # it answers requests
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding
            await wait_until_done(kafka, names)
            assert await members(kafka, names.group) == before
            assert peak_mebibytes(worker) < MOST_MEBIBYTES
            assert worker.terminate() == 0
        log = worker.log()
        source = await read_topic(kafka, names.source)
        output = emissions(await read_topic(kafka, names.states))

        assert held_up  # there was more than fits into memory
        assert output == judge(source).emitted
        assert different_states(expected_states(source), states_on_disk([worker.data_dir])) == []
    assert log.count("has not taken the states of a partition for") == 1
    assert log.count("The disk takes states again, after") == 1
    assert log.count("WARNING") + log.count("ERROR") == 2
