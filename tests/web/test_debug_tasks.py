"""The page that shows where tasks and threads are: whole, of now, and behind the token."""

import asyncio
from pathlib import Path

import pytest

from dedup.web.server import PUBLIC
from tests.web.test_locked_pages import TOKEN, app, has_headers, serving

PATH = "/debug/tasks"
SECRET = "hunter2-hunter2"  # noqa: S105 - what must not be seen


async def hang(password: str) -> None:
    held = [password]
    await asyncio.Event().wait()
    del held


async def test_the_page_shows_threads_and_tasks_as_they_are_now(tmp_path: Path) -> None:
    async with serving(app(tmp_path, KAFKA_PASSWORD=SECRET)) as client:
        before = await (await client.get(PATH)).text()
        hanging = asyncio.create_task(hang(SECRET), name="hanging")
        await asyncio.sleep(0)
        response = await client.get(PATH)
        text = await response.text()
        hanging.cancel()

    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert has_headers(response)
    assert "hanging" not in before
    block = text.split("\n  hanging\n")[1].splitlines()
    assert block[0].startswith("    tests/web/test_debug_tasks.py:")
    assert block[0].endswith(" hang")
    threads = text.split("\nThreads: ")[1].split("\nTasks of MainThread: ")[0]
    assert " Debugging.tasks\n" in threads
    assert SECRET not in text


@pytest.mark.parametrize("header", [None, "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"])
async def test_without_the_token_it_shows_nothing(tmp_path: Path, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    async with serving(app(tmp_path, DEDUP_WEB_TOKEN=TOKEN)) as client:
        response = await client.get(PATH, headers=headers)
        assert response.status == 401
        assert "Thread" not in await response.text()
    assert not any(path.startswith("/debug") for path in PUBLIC)


async def test_with_the_token_it_shows_all_but_the_token(tmp_path: Path) -> None:
    async with serving(app(tmp_path, DEDUP_WEB_TOKEN=TOKEN)) as client:
        response = await client.get(PATH, headers={"Authorization": f"Bearer {TOKEN}"})
        text = await response.text()
    assert response.status == 200
    assert "\nThreads: " in text
    assert TOKEN not in text


async def test_it_is_served_below_the_path_of_the_worker_s_address(tmp_path: Path) -> None:
    built = app(tmp_path, DEDUP_WEB_URL="https://ops.example/dedup/worker-1")
    async with serving(built) as client:
        for path in (PATH, f"/dedup/worker-1{PATH}"):
            assert (await client.get(path)).status == 200


async def test_it_changes_nothing(tmp_path: Path) -> None:
    async with serving(app(tmp_path)) as client:
        assert (await client.post(PATH)).status == 405
