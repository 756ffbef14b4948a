"""A group whose offsets are gone, or that has another name: nothing is written twice."""

from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from tests.support.administration import admin, delete, recreate
from tests.support.records import event
from tests.support.topics import emissions, judge, produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess


def renamed(names: Names) -> Names:
    """Return the same topics for a group that has committed nothing."""
    return Names(names.source, names.states, names.dead_letters, f"{names.group}-again")


async def write_bad(kafka: str, names: Names, value: bytes, count: int) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for number in range(count):
            await producer.send(names.source, value, key=b"%d" % number, partition=number % 4)


async def letters(kafka: str, names: Names) -> list[tuple[bytes, bytes, bytes]]:
    """Return source partition, offset and value of each dead letter."""
    found = [r for rs in (await read_topic(kafka, names.dead_letters)).values() for r in rs]
    return sorted(
        (h["__streams.errors.partition"], h["__streams.errors.offset"], r.value)
        for r, h in ((r, dict(r.headers)) for r in found)
    )


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_no_dead_letter_is_written_twice_and_the_log_says_that_offsets_are_gone(
    kafka: str, tmp_path: Path, guarantee: str
) -> None:
    """Whether the disk was lost too (it is here) or not; new bad events are dead letters."""
    names = Names.fresh()
    settings = {"DEDUP_GUARANTEE": guarantee}
    with WorkerProcess(kafka, tmp_path / "state", names.settings | settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, [(b"%d" % i, event(i)) for i in range(1, 20)], names.source)
        await write_bad(kafka, names, b"{", 10)
        await wait_until_done(kafka, names)
        assert "has no committed offsets for the partitions [0, 1, 2, 3]" in worker.log()
        assert "WARNING" not in worker.log()
        assert worker.terminate() == 0
    before = await letters(kafka, names)
    assert len(before) == 10

    again = renamed(names)
    with WorkerProcess(kafka, tmp_path / "again", again.settings | settings) as worker:
        worker.wait_until_ready()
        await write_bad(kafka, names, b"{", 3)
        await wait_until_done(kafka, again)
        (line,) = [line for line in worker.log().splitlines() if " WARNING " in line]
        assert f"The group {again.group} has no committed offsets" in line
        assert f"10 dead letters on {names.dead_letters} are not written again" in line
    after = await letters(kafka, names)
    assert len(after) == len(set(after)) == 13
    assert set(before) < set(after)
    output = emissions(await read_topic(kafka, names.states))
    assert output == judge(await read_topic(kafka, names.source)).emitted


async def test_letters_of_a_topic_of_before_hide_none_of_the_recreated_one(
    kafka: str, tmp_path: Path
) -> None:
    """Offsets begin again at 0 there: other events stand at the same offsets."""
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await write_bad(kafka, names, b"{", 12)
        await wait_until_done(kafka, names)
    async with admin(kafka) as client:
        await delete(client, names.source)
        await recreate(client, names.source)
    await write_bad(kafka, names, b"[", 8)
    again = renamed(names)
    with WorkerProcess(kafka, tmp_path / "again", again.settings) as worker:
        worker.wait_until_ready()
        await wait_until_done(kafka, again)
    values = [value for _, _, value in await letters(kafka, names)]
    assert (values.count(b"{"), values.count(b"[")) == (12, 8)
