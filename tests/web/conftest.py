"""A real broker, two real workers that share its partitions, and events of every kind."""

import asyncio
import itertools
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from producer.events import EventGenerator, Mix
from tests.support.records import event
from tests.support.topics import partition_of, produce
from tests.support.workers import Names, WorkerProcess, wait_until_counted

EVENTS = 6_000
PRODUCTS = 600
XSS_ID = 900_001
XSS_NAME = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"
LAMP_ID = 900_002
"""A product with a known history: created, changed, a stale event, a duplicate."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pictures", type=Path, default=None, help="write the pictures of the pages here"
    )


def lamp_history() -> list[bytes]:
    return [
        event(LAMP_ID, number=1, action="created", product_name="Desk Lamp"),
        event(LAMP_ID, number=2, product_name="Desk Lamp", price="12.50", stock_quantity=7),
        event(LAMP_ID, number=1, product_name="Desk Lamp"),
        event(LAMP_ID, number=3, product_name="Desk Lamp", price="12.500", stock_quantity=7),
    ]


def records() -> list[tuple[bytes | None, bytes | None]]:
    """Return events of every kind, and at the end two products with a known history."""
    clock = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in itertools.count())
    mix = Mix(products=PRODUCTS, late=0.04, partial=0.05, invalid=0.01)
    made: list[tuple[bytes | None, bytes | None]] = [
        (each.key, each.value)
        for each in itertools.islice(EventGenerator(7, lambda: next(clock), mix), EVENTS)
    ]
    made.append((b"%d" % XSS_ID, event(XSS_ID, action="created", product_name=XSS_NAME)))
    return made + [(b"%d" % LAMP_ID, value) for value in lamp_history()]


@dataclass
class Site:
    """The pages of two workers."""

    bootstrap_servers: str
    names: Names
    workers: tuple[WorkerProcess, WorkerProcess]

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{worker.port}" for worker in self.workers]

    @property
    def url(self) -> str:
        return self.urls[0]

    def owner_of(self, product_id: int) -> int:
        """Return which of the two owns a product, according to the overview."""
        partition = partition_of(b"%d" % product_id)
        owned = [
            {p["partition"] for p in get(f"{u}/api/overview")[1]["partitions"]} for u in self.urls
        ]
        (owner,) = [number for number, partitions in enumerate(owned) if partition in partitions]
        return owner


def get(url: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """Ask for a page; gives status and JSON, or the text of what is none."""
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
            status, text = response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except json.JSONDecodeError:
        return status, text


def wait_for(what: Any, timeout_s: float = 60) -> Any:
    """Wait until a call gives something true, and give it."""
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found


def apart(doing: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a thread: playwright has a loop of its own in ours."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, doing).result()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; the tests fail without it."""
    path = shutil.which("chromium")
    assert path is not None, "chromium is missing: apt-get install --no-install-recommends chromium"
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path)
        yield made
        made.close()


@pytest.fixture(scope="session")
def site(
    kafka: str, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Site]:
    """Two workers that own partitions each and have processed every event."""
    pictures = pytestconfig.getoption("--pictures") is not None
    names = Names("products", "src_products", "products.dlq", "shop") if pictures else Names.fresh()
    directory = tmp_path_factory.mktemp("site")
    first, second = (
        WorkerProcess(kafka, directory / name, names.settings) for name in ("first", "second")
    )
    with first, second:
        made = Site(kafka, names, (first, second))
        wait_for(lambda: all(len(_owned(url)) == 2 for url in made.urls))
        events = records()
        size = EVENTS // 30 if pictures else len(events)
        for part in range(0, len(events), size):
            asyncio.run(produce(kafka, events[part : part + size], names.source))
            if pictures:
                time.sleep(2)  # the chart has something to show then
        wait_until_counted(len(events), first, second)
        wait_for(lambda: all(get(f"{u}/api/overview")[1]["lag_records"] == 0 for u in made.urls))
        yield made


def _owned(url: str) -> list[Any]:
    try:
        status, ready = get(f"{url}/readyz")
        return (
            [] if status != 200 or not ready["ok"] else get(f"{url}/api/overview")[1]["partitions"]
        )
    except OSError:
        return []
