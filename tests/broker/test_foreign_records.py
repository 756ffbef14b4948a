"""Whoever else writes to `src_products` is noticed; the own group's rebalances are not."""

import asyncio
import time
from pathlib import Path

from tests.support.records import event
from tests.support.topics import end_of, produce, wait_until_done
from tests.support.workers import Names, WorkerProcess

FOREIGN = "dedup_foreign_records_total"
WARNING = "records that this worker did not write"


def events(number: int) -> list[tuple[bytes | None, bytes | None]]:
    """A change of each of eight products, which are in all partitions."""
    return [
        (b"%d" % product, event(product, number=number, action="created", price=f"{number}.00"))
        for product in range(1, 9)
    ]


async def until_found(worker: WorkerProcess) -> None:
    deadline = time.monotonic() + 60
    while worker.metrics()[FOREIGN] == 0:
        assert time.monotonic() < deadline, worker.log()
        await asyncio.sleep(0.3)


async def test_two_groups_on_one_output_are_warned_of_by_both(kafka: str, tmp_path: Path) -> None:
    """A rolling rename of DEDUP_APP_ID: every change is written twice, and each worker says so."""
    names = Names.fresh()
    renamed = {**names.settings, "DEDUP_APP_ID": f"{names.group}-renamed"}
    with (
        WorkerProcess(kafka, tmp_path / "old", names.settings) as old,
        WorkerProcess(kafka, tmp_path / "new", renamed) as new,
    ):
        for worker in (old, new):
            await asyncio.to_thread(worker.wait_until_ready)
        for number in range(1, 5):
            await produce(kafka, events(number), names.source)
            await asyncio.sleep(1)
        for worker in (old, new):
            await until_found(worker)
    for worker, group in ((old, names.group), (new, renamed["DEDUP_APP_ID"])):
        assert f"Another DEDUP_APP_ID than {group}" in worker.log()
        assert worker.log().count(WARNING) <= 4  # once for each partition
        assert "such as offset" in worker.log()


async def test_workers_of_one_group_are_no_strangers_to_each_other(
    kafka: str, tmp_path: Path
) -> None:
    """Partitions move to another worker and back, by a kill too: nothing foreign is found."""
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "a", names.settings) as first:
        await asyncio.to_thread(first.wait_until_ready)
        await produce(kafka, events(1), names.source)
        await wait_until_done(kafka, names)
        with WorkerProcess(kafka, tmp_path / "b", names.settings) as second:
            await asyncio.to_thread(second.wait_until_ready)
            await produce(kafka, events(2), names.source)
            await wait_until_done(kafka, names)
            second.kill()
        await produce(kafka, events(3), names.source)
        await wait_until_done(kafka, names)
        await produce(kafka, events(4), names.source)
        await wait_until_done(kafka, names)
        await asyncio.sleep(5)  # one look at gaps, were there any
        assert first.metrics()[FOREIGN] == 0
        assert await end_of(kafka, names.states) > 32
    assert WARNING not in first.log() + second.log()
