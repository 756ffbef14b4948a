"""Two real workers and a producer that places keys by CRC32: pages and API are of the group."""

import re
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.records import event
from tests.support.topics import partition_of
from tests.support.workers import Names, WorkerProcess
from tests.web.conftest import get, wait_for
from tests.web.pairs import PRODUCTS, UNKNOWN_ID, Pair, by_crc32, fill, name_of, owned
from tests.web.product_models import ProductDetail, ProductList, ProductOverview


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
        assert len(page.rows) == 50
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
        view = ProductOverview.model_validate(get(f"{url}/api/overview")[1])
        assert view.group is not None
        totals = Counter(view.group.totals)
        assert +totals == Counter(change=PRODUCTS + 2, duplicate=PRODUCTS)
        assert view.group.rows == PRODUCTS + 2
        figures = [worker.figures for worker in view.workers if worker.figures]
        assert len(figures) == 2
        assert sum((Counter(each.totals) for each in figures), Counter()) == +totals
        html = get(f"{url}/")[1]
        assert "Figures of 2 workers together, each counted since its own start" in html
        row = re.search(r'duplicate</span></th>(?:<td class="n"[^>]*>[^<]*</td>){2}', html)
        assert row is not None
        assert row[0].endswith(f">{PRODUCTS}</td>")


def test_a_killed_worker_s_products_are_elsewhere_soon_and_its_counts_begin_again(
    group: Pair,
) -> None:
    """Suspended: named. Killed: taken over. Started again: it counts since its new start."""
    url, away = group.urls
    theirs = owned(away)
    there = next(i for i in range(1, 100) if by_crc32(i) in theirs)
    before = ProductOverview.model_validate(get(f"{away}/api/overview?local=1")[1])
    group.second.send(signal.SIGSTOP)
    status, body = get(f"{url}/api/products/{there}")
    assert (status, away in body["error"]) == (503, True)
    group.second.kill()
    found = wait_for(lambda: found_from(url, there))
    assert (found["worker"], found["unanswered"]) == (url, [])
    group.second.start()
    wait_for(lambda: all(len(owned(each)) == 2 for each in group.urls))
    after = ProductOverview.model_validate(get(f"{away}/api/overview?local=1")[1])
    assert sum(before.totals.values()) > 0
    assert sum(after.totals.values()) == 0
    assert after.since > before.since


def found_from(url: str, product_id: int) -> Any:
    status, body = get(f"{url}/api/products/{product_id}")
    return body if status == 200 else None
