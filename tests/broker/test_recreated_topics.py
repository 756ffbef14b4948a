"""A source topic that is deleted and created again, before a worker starts and under one."""

import asyncio
from pathlib import Path

from dedup.localkafka import LocalKafka
from tests.support.administration import admin, delete, recreate
from tests.support.records import event
from tests.support.topics import emissions, produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess, wait_until_counted


async def _produce(kafka: str, names: Names, numbers: range, cents: str) -> None:
    """Send an event of product 1 for each number, each with another price."""
    values = [event(number=number, price=f"{number}.{cents}") for number in numbers]
    await produce(kafka, [(b"1", value) for value in values], names.source)


async def test_a_recreated_source_topic_is_read_from_its_beginning(
    kafka: str, tmp_path: Path
) -> None:
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await _produce(kafka, names, range(1, 31), "00")
        await wait_until_done(kafka, names)
        assert worker.terminate() == 0
        async with admin(kafka) as client:
            await delete(client, names.source)
            await recreate(client, names.source)
        await _produce(kafka, names, range(40, 45), "50")
        worker.log_path.unlink()
        worker.start()
        worker.wait_until_ready()
        await wait_until_done(kafka, names)
        wait_until_counted(5, worker)
        metrics = worker.metrics()

    output = emissions(await read_topic(kafka, names.states))
    assert output[1] == [f"evt_{n}" for n in (*range(1, 31), *range(40, 45))]
    assert metrics["dedup_offset_regressions_total"] > 0


async def test_a_source_topic_recreated_under_a_worker_stops_it_and_is_then_read(
    kafka: str, tmp_path: Path
) -> None:
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await _produce(kafka, names, range(1, 31), "00")
        await wait_until_done(kafka, names)
        async with admin(kafka) as client:
            await delete(client, names.source)
            assert worker.wait() == 1
            await recreate(client, names.source)
        await _produce(kafka, names, range(40, 45), "50")
        assert f"{names.source} is gone from " in worker.log()
        assert "Traceback" not in worker.log()
        worker.start()
        async with asyncio.timeout(60):
            while len(emissions(await read_topic(kafka, names.states))[1]) < 35:
                await asyncio.sleep(0.5)


def test_brokers_without_the_topic_at_the_same_address_stop_the_worker(tmp_path: Path) -> None:
    names = Names.fresh()
    with LocalKafka() as before:
        worker = WorkerProcess(before.bootstrap_servers, tmp_path / "state", names.settings)
        worker.start()
        worker.wait_until_ready()
        port = int(before.bootstrap_servers.rpartition(":")[2])
    try:
        with LocalKafka(port=port):
            assert worker.wait() == 1
    finally:
        worker.kill()
    assert f"{names.source} is gone from " in worker.log()
