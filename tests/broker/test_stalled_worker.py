"""A real worker in which a partition hangs: the log says so once, with what hangs, and its end."""

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

from tests.broker.stalled import SECRET_NAME, TOKEN, logged, release, send, started
from tests.support.polling import until
from tests.support.topics import read_topic
from tests.support.workers import Names, WorkerProcess

DUMP = "Where all threads and tasks are, "
LOOKS_S = 1.0
"""Five looks of a stalled worker."""


def page(worker: WorkerProcess, path: str, token: str | None = TOKEN) -> tuple[int, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://127.0.0.1:{worker.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 - our own worker
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def gauge(worker: WorkerProcess, names: Names, partition: int) -> float | None:
    name = f'dedup_stalled_seconds{{partition="{partition}",topic="{names.source}"}} '
    lines = page(worker, "/metrics")[1].splitlines()
    return next((float(line.removeprefix(name)) for line in lines if line.startswith(name)), None)


def lines_about_progress(worker: WorkerProcess) -> list[str]:
    return [line for line in worker.log().splitlines() if " progress " in line]


async def stop_and_check(
    kafka: str, names: Names, worker: WorkerProcess, records: list[int]
) -> None:
    """The worker did all its work, and has nothing else to warn of."""
    assert await asyncio.to_thread(worker.terminate) == 0
    log = worker.log()
    assert log.count(" WARNING ") == 1, log
    assert log.count(DUMP) == 1, log
    assert " ERROR " not in log
    assert SECRET_NAME not in log
    assert TOKEN not in log
    topic = await read_topic(kafka, names.states, len(records))
    assert [len(topic[partition]) for partition in range(len(records))] == records


async def test_a_partition_whose_task_hangs_is_logged_once_and_shown(
    kafka: str, tmp_path: Path
) -> None:
    """The other partition is processed, and is not named."""
    names = Names.fresh()
    worker = started(kafka, tmp_path, names, "await asyncio.sleep", partitions=2)
    try:
        await asyncio.to_thread(worker.wait_until_ready)
        await send(kafka, names, 0, 1)
        await until(logged(worker, DUMP))
        await send(kafka, names, 1)
        await until(lambda: gauge(worker, names, 0))
        assert gauge(worker, names, 1) == 0
        status, text = page(worker, "/debug/tasks")
        assert status == 200
        assert SECRET_NAME not in text
        for shown in (text, worker.log()):
            block = shown[shown.index(" Deduplicator.apply\n") :].splitlines()[1:4]
            assert block[0].strip().startswith("<string>:")
            assert [line.rpartition(" ")[2] for line in block] == [
                "publish_late",
                "hang_until_released",
                "sleep",
            ]
            assert "\n  MainThread\n" in shown
            assert shown.count("\nTasks of ") == 2  # also of the loop that fetches
            assert " GroupCoordinator._coordination_routine\n" in shown
        assert page(worker, "/debug/tasks", None)[0] == 401
        assert f"Partition 0 of {names.source} makes no progress" in page(worker, "/readyz")[1]
        await asyncio.sleep(LOOKS_S)
        release(worker)
        await until(logged(worker, "makes progress again, to offset 1, after "))
        await until(lambda: gauge(worker, names, 0) == 0)
        await stop_and_check(kafka, names, worker, [1, 2])
    finally:
        worker.kill()
    warning, info = lines_about_progress(worker)
    said = "it is done up to offset 0, delivered up to 1, and can be read up to 1."
    assert f" WARNING dedup.observability.stalls: Partition 0 of {names.source} makes" in warning
    assert said in warning
    assert "Partition 1" not in warning
    assert f" INFO dedup.observability.stalls: Partition 0 of {names.source} makes" in info


async def test_a_worker_whose_main_thread_hangs_is_logged_once(kafka: str, tmp_path: Path) -> None:
    """No page answers then; the log is all there is."""
    names = Names.fresh()
    worker = started(kafka, tmp_path, names, "time.sleep", partitions=1)
    try:
        await asyncio.to_thread(worker.wait_until_ready)
        await until(lambda: gauge(worker, names, 0) is not None)  # it is watched
        await send(kafka, names, 0)
        await until(logged(worker, DUMP))
        await asyncio.sleep(LOOKS_S)
        release(worker)
        await until(logged(worker, f"Partition 0 of {names.source} makes progress again"))
        await stop_and_check(kafka, names, worker, [1])
    finally:
        worker.kill()
    log = worker.log()
    assert "The loop of the main thread has not run for " in log
    main = log.split("\n  MainThread\n")[1].split("\n  ")[0:40]
    assert any(line.endswith(" hang_until_released") for line in main)
