"""An open page whose worker is suspended or killed, in Chromium: it must not stay "ready"."""

import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dedup.localkafka.ports import free_port
from tests.support.records import event
from tests.support.topics import produce
from tests.support.workers import Names, WorkerProcess
from tests.web.conftest import apart, get, wait_for
from tests.web.proxy import Proxy

PATIENCE_MS = 60_000
PRODUCT_ID = 7


@pytest.fixture(scope="module")
def worker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    names = Names.fresh()
    worker = WorkerProcess(kafka, tmp_path_factory.mktemp("lost") / "state", names.settings)
    with worker:
        worker.wait_until_ready()
        value = event(PRODUCT_ID, action="created", product_name="Lamp")
        apart(produce(kafka, [(b"%d" % PRODUCT_ID, value)], names.source))
        wait_for(lambda: get(f"http://127.0.0.1:{worker.port}/api/products/{PRODUCT_ID}")[0] == 200)
        yield worker


@pytest.fixture
def pages(browser: Browser, worker: WorkerProcess) -> Iterator[list[Page]]:
    """A page of each kind that is live, and one behind a proxy.

    The proxy answers 502 for a worker that is gone: a browser then gives its event source up.
    """
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    with Proxy(free_port(), {"one": worker.port}) as proxy:
        direct, behind = (f"http://127.0.0.1:{port}" for port in (worker.port, proxy.port))
        opened = []
        for url in (f"{direct}/", f"{direct}/products/{PRODUCT_ID}", f"{behind}/dedup/one/"):
            opened.append(context.new_page())
            opened[-1].goto(url)
            is_live(opened[-1])
        yield opened
        expect.set_options(timeout=5_000)
        context.close()


def is_live(page: Page) -> None:
    """Wait until a page gets updates and says nothing else."""
    expect(page.locator("[data-asof].live")).to_be_visible()
    expect(page.locator("[data-trouble]")).to_be_hidden()
    expect(page.locator("h1 .state.ok")).to_have_text(re.compile("^(ready|known)$"))
    assert "old" not in (page.locator("[data-live]").get_attribute("class") or "")


def is_lost(page: Page, around: datetime) -> None:
    """Wait until a page says that the connection is lost, and since when."""
    trouble = page.locator("[data-trouble]")
    expect(trouble).to_contain_text("connection lost since")
    said = re.search(r"connection lost since (\d\d):(\d\d):(\d\d) UTC", trouble.inner_text())
    assert said is not None
    hour, minute, second = map(int, said.groups())
    since = around.replace(hour=hour, minute=minute, second=second)
    apart_s = (around - since) % timedelta(days=1)
    # The last sign of life was up to two seconds before, more on a busy machine, and not after.
    assert apart_s < timedelta(seconds=10) or apart_s > timedelta(days=1) - timedelta(seconds=2)
    assert page.locator("h1 .state").inner_text() == "connection lost"
    assert page.locator("h1 .state.ok").count() == 0
    assert page.locator("[data-asof].live").count() == 0


def test_a_suspended_worker_s_pages_say_so_and_recover(
    pages: list[Page], worker: WorkerProcess
) -> None:
    """Its socket stays open, and the browser reports no error: only silence tells."""
    at = datetime.now(UTC)
    worker.send(signal.SIGSTOP)
    try:
        for page in pages:
            is_lost(page, at)
    finally:
        worker.send(signal.SIGCONT)
    for page in pages:
        is_live(page)


def test_a_killed_worker_s_pages_say_so_and_recover(
    pages: list[Page], worker: WorkerProcess
) -> None:
    at = datetime.now(UTC)
    worker.kill()
    try:
        for page in pages:
            is_lost(page, at)
    finally:
        worker.start()
    for page in pages:
        is_live(page)


def test_without_javascript_no_page_claims_to_be_live(
    browser: Browser, worker: WorkerProcess
) -> None:
    """It says the time it was made at, on every page."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for path in ("/", "/products", f"/products/{PRODUCT_ID}", "/check", "/dead-letters", "/api"):
        before = datetime.now(UTC).replace(microsecond=0)
        page.goto(f"http://127.0.0.1:{worker.port}{path}")
        said = page.locator("[data-asof]").inner_text()
        made = datetime.strptime(said, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        assert before <= made <= datetime.now(UTC), path
        assert page.locator(".live").count() == 0
    context.close()


def test_the_script_waits_longer_than_a_worker_waits_for_another() -> None:
    """A page on a worker whose neighbour does not answer is itself answered: it is not lost."""
    from dedup.web.pages import ROW_EVERY_S  # noqa: PLC0415
    from dedup.web.partition_router import ANSWER_WITHIN_S  # noqa: PLC0415 - beside what it is compared with

    script = (Path(__file__).parents[2] / "dedup/web/static/app.js").read_text()
    silent = re.search(r"SILENT_MS = (\d+);", script)
    assert silent is not None
    assert int(silent[1]) / 1000 >= ANSWER_WITHIN_S + ROW_EVERY_S
