"""A worker killed in full work has the states of a run without kills, also of duplicates."""

import asyncio
import random
import re
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from producer.events import EventGenerator, Mix
from tests.support.states import different_states, expected_states, states_on_disk
from tests.support.topics import emissions, end_of, judge, produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess

EVENTS = 15_000
AGAIN = re.compile(r"Decided again on ([\d,]+) committed events")


async def fill(kafka: str, names: Names, seed: int) -> None:
    mix = Mix(products=3_000, late=0.05, deletes=0.02, partial=0.03, invalid=0.01)
    events = islice(EventGenerator(seed, lambda: datetime.now(UTC), mix), EVENTS)
    await produce(kafka, [(event.key, event.value) for event in events], names.source)


async def wait_until_at_work(kafka: str, names: Names) -> None:
    """Wait until a batch more is on the output topic."""
    before = await end_of(kafka, names.states)
    async with asyncio.timeout(60):
        while await end_of(kafka, names.states) == before:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_states_after_kills_in_full_work_are_those_of_a_run_without_kills(
    kafka: str, tmp_path: Path, guarantee: str
) -> None:
    names, chance = Names.fresh(), random.Random(guarantee)
    settings = {**names.settings, "DEDUP_GUARANTEE": guarantee}
    worker = WorkerProcess(kafka, tmp_path / "data", settings)
    with worker:
        worker.wait_until_ready()  # the topics are there
        worker.kill()
        for seed in range(4):
            await fill(kafka, names, seed)  # however far the worker came, there is work
            worker.start()
            await wait_until_at_work(kafka, names)
            await asyncio.sleep(chance.uniform(0, 0.3))
            worker.kill()
        worker.start()
        worker.wait_until_recovered()  # all may be done already, and it does not handle signals yet
        await wait_until_done(kafka, names)
        assert worker.terminate() == 0
    again = [int(found.replace(",", "")) for found in AGAIN.findall(worker.log())]
    source = await read_topic(kafka, names.source)
    output = await read_topic(kafka, names.states)

    assert different_states(expected_states(source), states_on_disk([worker.data_dir])) == []
    assert emissions(output) == {i: sent for i, sent in judge(source).emitted.items() if sent}
    if guarantee == "exactly_once":  # else the committed offset is behind RocksDB as often as not
        assert sum(again) > 0  # a kill left something out of RocksDB
