"""A worker that does not answer: what the others show meanwhile."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from dedup.web.group_queries import ASKED_EVERY_S
from tests.support.records import event
from tests.support.workers import Names, WorkerProcess
from tests.web.conftest import get, wait_for
from tests.web.pairs import PRODUCTS, UNKNOWN_ID, Pair, by_crc32, fill, owned
from tests.web.product_models import ProductDetail, ProductList, ProductOverview


@pytest.fixture(scope="module")
def pair(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two workers; who asks the second gets a connection and no answer."""
    names = Names.fresh()
    directory = tmp_path_factory.mktemp("pair")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        silent = f"http://127.0.0.1:{listening.getsockname()[1]}"
        first = WorkerProcess(kafka, directory / "first", names.settings)
        second = WorkerProcess(
            kafka, directory / "second", {**names.settings, "DEDUP_WEB_URL": silent}
        )
        with first, second:
            made = Pair(kafka, names, first, second, silent)
            threading.Thread(target=answer_nothing, args=(listening, made.asked)).start()
            wait_for(lambda: all(len(owned(url)) == 2 for url in made.urls))
            fill(made)
            yield made
        listening.shutdown(socket.SHUT_RDWR)
    for connection in made.asked:
        connection.close()


def answer_nothing(listening: socket.socket, asked: list[socket.socket]) -> None:
    """Accept connections until the socket is shut down."""
    with suppress(OSError):
        while True:
            asked.append(listening.accept()[0])


def timed(url: str, *body: bytes) -> tuple[int, Any, float]:
    began = time.monotonic()
    status, found = get(url, *body)
    return status, found, time.monotonic() - began


def test_a_product_that_may_be_with_a_silent_worker_is_not_said_to_be_unknown(pair: Pair) -> None:
    """Named is who does not answer, since when, and what to do; the page is not held up long."""
    url = pair.urls[0]
    theirs = owned(pair.urls[1])
    there = next(i for i in range(1, 100) if by_crc32(i) in theirs)
    for product_id in (there, UNKNOWN_ID):
        for path in (f"/products/{product_id}", f"/api/products/{product_id}"):
            status, body, seconds = timed(url + path)
            text = body["error"] if isinstance(body, dict) else body
            assert status == 503
            assert f"The worker at {pair.silent} has not answered since " in text
            assert "set DEDUP_WEB_URL there" in text
            command = f"dedup inspect {product_id}"
            command = f"`{command}`" if path.startswith("/api") else f"<code>{command}</code>"
            assert f"{command} reads the topics" in text
            assert "TimeoutError" not in text
            assert seconds < 10, "2 s, and what a busy machine adds"
    status, body, _ = timed(f"{url}/api/check", event(there, number=9))
    assert status == 503
    assert pair.silent in body["error"]


def test_what_this_worker_knows_is_shown_while_another_is_silent(pair: Pair) -> None:
    url, theirs = pair.urls[0], owned(pair.urls[1])
    here = [i for i in range(1, PRODUCTS + 1) if by_crc32(i) not in theirs]
    status, body = get(f"{url}/api/products/{here[0]}")
    product = ProductDetail.model_validate(body)
    assert (status, product.known) == (200, True)
    (missing,) = product.unanswered
    assert (missing.worker, missing.partitions) == (pair.silent, theirs)
    page = ProductList.model_validate(get(f"{url}/api/products?search=chair")[1])
    assert [int(line.id) for line in page.rows] == here[:50]
    assert page.total is None
    assert [each.partitions for each in page.unanswered] == [theirs]
    assert f"{pair.silent} has not answered since" in get(f"{url}/products")[1]


def test_a_silent_worker_s_figures_are_reported_as_missing(pair: Pair) -> None:
    view = ProductOverview.model_validate(get(f"{pair.urls[0]}/api/overview")[1])
    assert view.group is not None
    assert (view.group.answered, view.group.rows, view.group.lag_records) == (1, None, None)
    assert [each.worker for each in view.group.unanswered] == [pair.silent]
    assert {worker.url: worker.figures is None for worker in view.workers} == {
        pair.urls[0]: False,
        pair.silent: True,
    }
    html = get(f"{pair.urls[0]}/")[1]
    assert "These figures do not cover the whole group." in html
    assert "The counts do not cover the whole group." in get(f"{pair.urls[0]}/dead-letters")[1]


def test_a_silent_worker_is_asked_once_a_second_however_many_look(pair: Pair) -> None:
    """Eight who look all the time for three seconds: one question at a time, one answer for all."""
    began, before = time.monotonic(), len(pair.asked)

    def look(_who: int) -> list[int]:
        found = []
        while time.monotonic() - began < 3:
            found.append(get(f"{pair.urls[0]}/api/overview")[1]["group"]["answered"])
        return found

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for found in pool.map(look, range(8)) for answer in found]
    seconds = time.monotonic() - began
    assert set(answers) == {1}
    assert 1 <= len(pair.asked) - before <= seconds / ASKED_EVERY_S + 1
