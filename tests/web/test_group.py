"""Two real workers and a producer that places keys by CRC32: pages and API are of the group."""

import asyncio
import re
import signal
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from dedup.web.group_queries import ASKED_EVERY_S
from dedup.web.models import Overview, ProductDetail, ProductList
from tests.support.records import event
from tests.support.topics import partition_of, wait_until_done
from tests.support.workers import Names, WorkerProcess
from tests.web.conftest import get, wait_for

PRODUCTS = 200
UNKNOWN_ID = 10**12


def by_crc32(product_id: int) -> int:
    """Where librdkafka's default partitioner puts a product."""
    return zlib.crc32(b"%d" % product_id) % 4


async def send(kafka: str, topic: str, records: list[tuple[int, int, bytes]]) -> None:
    """Append events, each in the partition it comes with."""
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        for product_id, partition, value in records:
            await producer.send(topic, value=value, key=b"%d" % product_id, partition=partition)


def name_of(product_id: int) -> str:
    return f"{'Green' if product_id % 3 else 'Blue'} chair {product_id}"


@dataclass
class Pair:
    """Two workers of a group. The second tells the group an address that never answers."""

    kafka: str
    names: Names
    first: WorkerProcess
    second: WorkerProcess
    silent: str = ""
    twice: int = 0
    """A product whose events two producers sent, by CRC32 and by murmur2, so to two workers."""

    asked: list[socket.socket] = field(default_factory=list)
    """Connections to the silent address."""

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{worker.port}" for worker in (self.first, self.second)]


def owned(url: str) -> list[int]:
    """Which partitions a worker that is ready says it owns."""
    try:
        _, ready = get(f"{url}/readyz")
        overview = get(f"{url}/api/overview?local=1")[1]
    except OSError:
        return []
    return [each["partition"] for each in overview["partitions"]] if ready.get("ok") else []


def fill(pair: Pair) -> None:
    """200 products, each created and repeated; one in two partitions, which two workers own."""
    ours = owned(pair.urls[0])
    pair.twice = next(
        i for i in range(300, 400) if (by_crc32(i) in ours) != (partition_of(b"%d" % i) in ours)
    )
    records = []
    for product_id in range(1, PRODUCTS + 1):
        value = event(product_id, action="created", product_name=name_of(product_id))
        records += [(product_id, by_crc32(product_id), value)] * 2
    old = event(pair.twice, number=1, action="created", product_name="Lamp", price="1.00")
    new = event(pair.twice, number=2, action="created", product_name="Lamp", price="2.00")
    records.append((pair.twice, partition_of(b"%d" % pair.twice), old))
    records.append((pair.twice, by_crc32(pair.twice), new))
    asyncio.run(send(pair.kafka, pair.names.source, records))
    asyncio.run(wait_until_done(pair.kafka, pair.names))


@pytest.fixture(scope="module")
def group(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two workers that reach each other."""
    names = Names.fresh()
    directory = tmp_path_factory.mktemp("group")
    first, second = (
        WorkerProcess(kafka, directory / name, names.settings) for name in ("first", "second")
    )
    with first, second:
        made = Pair(kafka, names, first, second)
        wait_for(lambda: all(len(owned(url)) == 2 for url in made.urls))
        fill(made)
        for url in made.urls:
            wait_for(lambda url=url: get(f"{url}/api/overview")[1]["group"]["lag_records"] == 0)
        yield made


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


def home_of(pair: Pair, partition: int) -> int:
    (home,) = [number for number, url in enumerate(pair.urls) if partition in owned(url)]
    return home


def test_every_product_is_found_where_its_events_are(group: Pair) -> None:
    """By CRC32 about three of four products are elsewhere than murmur2 says."""
    elsewhere = 0
    for product_id in range(1, PRODUCTS + 1):
        status, body = get(f"{group.urls[product_id % 2]}/api/products/{product_id}")
        product = ProductDetail.model_validate(body)
        assert (status, product.partition) == (200, by_crc32(product_id))
        assert product.row is not None
        assert product.row["product_name"] == name_of(product_id)
        assert product.decided == {"change": 1, "duplicate": 1}
        assert (product.also, product.unanswered) == ([], [])
        elsewhere += by_crc32(product_id) != partition_of(b"%d" % product_id)
    assert elsewhere > PRODUCTS / 2
    for url in group.urls:
        status, body = get(f"{url}/api/products/{UNKNOWN_ID}")
        assert (status, body["known"], body["searched"]) == (404, False, [0, 1, 2, 3])


def test_a_product_in_two_partitions_is_shown_in_both(group: Pair) -> None:
    there, older = by_crc32(group.twice), partition_of(b"%d" % group.twice)
    answers = [get(f"{url}/api/products/{group.twice}") for url in group.urls]
    assert answers[0] == answers[1]
    product = ProductDetail.model_validate(answers[0][1])
    (other,) = product.also
    assert product.row is not None
    assert other.row is not None
    assert (product.partition, product.row["price"]) == (there, "2.00")
    assert (other.partition, other.row["price"]) == (older, "1.00")
    assert (product.worker, other.worker) == (
        group.urls[home_of(group, there)],
        group.urls[home_of(group, older)],
    )
    for url in group.urls:
        html = get(f"{url}/products/{group.twice}")[1]
        assert "known in 2 partitions" in html
        (line,) = get(f"{url}/api/products?search=lamp")[1]["products"]
        assert (line["partitions"], line["row"]["price"]) == ([there, older], "2.00")
        value = event(group.twice, number=3, product_name="Lamp", price="2.00")
        verdict = get(f"{url}/api/check", value)[1]
        assert verdict["outcome"] == "duplicate"
        assert f"also known in partition {older}." in verdict["why"]


def test_list_and_search_walk_over_all_partitions_both_ways(group: Pair) -> None:
    blue = [i for i in range(1, PRODUCTS + 1) if i % 3 == 0]
    for url in group.urls:
        for search, wanted in (("", [*range(1, PRODUCTS + 1), group.twice]), ("bLUE", blue)):
            assert walk(url, search, "after", "next_after", 0) == wanted
            backwards = walk(url, search, "before", "previous_before", 10**6)
            assert sorted(backwards) == wanted
        page = ProductList.model_validate(get(f"{url}/api/products")[1])
        assert len(page.products) == 50
        assert page.searched == [0, 1, 2, 3]
        assert page.total == PRODUCTS + 2, "a row in each of two partitions"


def walk(url: str, search: str, by: str, following: str, at: int | None) -> list[int]:
    found: list[int] = []
    while at is not None:
        page = get(f"{url}/api/products?search={search}&{by}={at}")[1]
        found += [line["product_id"] for line in page["products"]]
        at = page[following]
    assert len(found) == len(set(found))
    return found


def test_a_check_uses_the_known_state_of_whichever_worker_owns_it(group: Pair) -> None:
    for product_id in range(1, 21):
        same = event(product_id, number=2, product_name=name_of(product_id))
        other = event(product_id, number=2, product_name=name_of(product_id), price="3.00")
        for url in group.urls:
            assert get(f"{url}/api/check", same)[1]["outcome"] == "duplicate"
            assert get(f"{url}/api/check", other)[1]["why"] == "price differs from the known state."


def test_the_overview_is_of_the_group_from_either_worker(group: Pair) -> None:
    """Events in, records out and products are those that were sent."""
    for url in group.urls:
        view = Overview.model_validate(get(f"{url}/api/overview")[1])
        assert view.group is not None
        totals = Counter(view.group.totals)
        assert +totals == Counter(change=PRODUCTS + 2, duplicate=PRODUCTS)
        assert view.group.products == PRODUCTS + 2
        figures = [worker.figures for worker in view.workers if worker.figures]
        assert len(figures) == 2
        assert sum((Counter(each.totals) for each in figures), Counter()) == +totals
        html = get(f"{url}/")[1]
        assert "Figures of 2 workers together, each counted since its own start" in html
        row = re.search(r'duplicate</span></th>(?:<td class="n"[^>]*>[^<]*</td>){2}', html)
        assert row is not None
        assert row[0].endswith(f">{PRODUCTS}</td>")


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
    assert [line.product_id for line in page.products] == here[:50]
    assert page.total is None
    assert [each.partitions for each in page.unanswered] == [theirs]
    assert f"{pair.silent} has not answered since" in get(f"{url}/products")[1]


def test_a_silent_worker_s_figures_are_reported_as_missing(pair: Pair) -> None:
    view = Overview.model_validate(get(f"{pair.urls[0]}/api/overview")[1])
    assert view.group is not None
    assert (view.group.answered, view.group.products, view.group.lag_records) == (1, None, None)
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


def test_a_killed_worker_s_products_are_elsewhere_soon_and_its_counts_begin_again(
    group: Pair,
) -> None:
    """Suspended: named. Killed: taken over. Started again: it counts since its new start."""
    url, away = group.urls
    theirs = owned(away)
    there = next(i for i in range(1, 100) if by_crc32(i) in theirs)
    before = Overview.model_validate(get(f"{away}/api/overview?local=1")[1])
    group.second.send(signal.SIGSTOP)
    status, body = get(f"{url}/api/products/{there}")
    assert (status, away in body["error"]) == (503, True)
    group.second.kill()
    found = wait_for(lambda: found_from(url, there))
    assert (found["worker"], found["unanswered"]) == (url, [])
    group.second.start()
    wait_for(lambda: all(len(owned(each)) == 2 for each in group.urls))
    after = Overview.model_validate(get(f"{away}/api/overview?local=1")[1])
    assert sum(before.totals.values()) > 0
    assert sum(after.totals.values()) == 0
    assert after.since > before.since


def found_from(url: str, product_id: int) -> Any:
    status, body = get(f"{url}/api/products/{product_id}")
    return body if status == 200 else None
