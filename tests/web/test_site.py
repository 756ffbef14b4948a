"""Two real workers: every product is found from either, and the JSON is what is documented."""

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from openapi_spec_validator import validate
from pydantic import TypeAdapter

from dedup import __version__
from dedup.core.keys import Id
from dedup.web.dead_letter_models import DeadLetters
from dedup.web.models import Version
from dedup.web.openapi import document, document_text
from tests.support.kafka_tools import committed_and_lag
from tests.support.records import event
from tests.support.topics import (
    emissions,
    judge,
    partition_of,
    read_topic,
)
from tests.web.conftest import (
    LAMP_ID,
    PRODUCTS,
    XSS_ID,
    XSS_NAME,
    Site,
    get,
    lamp_history,
    wait_for,
)
from tests.web.product_models import ProductCheck, ProductDetail, ProductList, ProductOverview


def test_every_product_is_found_from_either_worker(site: Site) -> None:
    """Known, deleted or never heard of: both say the same, and what src_products says."""
    output = asyncio.run(read_topic(site.bootstrap_servers, site.names.states))
    last = {
        json.loads(record.key)["product_id"]: record.value
        for records in output.values()
        for record in records
    }
    random = Random(1)
    asked = [*random.sample(range(1, PRODUCTS + 1), 40), LAMP_ID, XSS_ID, 10**15]
    owners = set()
    for product_id in asked:
        first, second = (get(f"{url}/api/products/{product_id}") for url in site.urls)
        assert first == second
        product = ProductDetail.model_validate(first[1])
        owners.add(product.worker)
        assert first[0] == (200 if product.known else 404)
        row = last.get(product_id)
        assert product.row == (None if row is None else json.loads(row))
        assert product.deleted == (product_id in last and row is None)
    assert owners == {*site.urls, None}


def test_the_list_of_either_worker_is_all_products(site: Site) -> None:
    output = asyncio.run(read_topic(site.bootstrap_servers, site.names.states))
    ids = {i for i, events in emissions(output).items() if events[-1] is not None}
    for url in site.urls:
        wait_for(lambda url=url: get(f"{url}/api/products")[1]["total"] is not None)
        found: list[int] = []
        after: Id | None = 0
        while after is not None:
            page = ProductList.model_validate(get(f"{url}/api/products?after={after}")[1])
            found += [int(line.id) for line in page.rows]
            after = page.next_after
            assert (page.total, page.unanswered) == (len(ids), [])
        assert found == sorted(ids)


def test_a_search_by_name_finds_the_products_of_all_workers(site: Site) -> None:
    """What src_products holds is the oracle: names, last row first."""
    output = asyncio.run(read_topic(site.bootstrap_servers, site.names.states))
    rows = {
        json.loads(record.key)["product_id"]: record.value and json.loads(record.value)
        for records in output.values()
        for record in records
    }
    wanted = {i for i, row in rows.items() if row and "ba" in row["product_name"].casefold()}
    assert {partition_of(b"%d" % i) for i in wanted} == {0, 1, 2, 3}, "something to find on both"
    for url in site.urls:
        found: list[int] = []
        after: int | None = 0
        while after is not None:
            page = get(f"{url}/api/products?search=Ba&after={after}")[1]
            found += [line["product_id"] for line in page["products"]]
            after = page["next_after"]
        assert found == sorted(wanted)
    html = get(f"{site.url}/products?search=desk+lamp")[1]
    assert f'href="./products/{LAMP_ID}"' in html


def test_the_history_of_a_product_is_shown_with_the_reasons(site: Site) -> None:
    product = ProductDetail.model_validate(get(f"{site.url}/api/products/{LAMP_ID}")[1])
    told = [(each.outcome, each.event_time, each.why) for each in product.decisions]
    assert [outcome for outcome, _, _ in told] == ["duplicate", "stale", "change", "change"]
    assert "price, stock_quantity and discount are equal" in told[0][2]
    assert "00:00:01.000000Z is older than 2026-01-01T00:00:02.000000Z" in told[1][2]
    assert told[2][2] == "price and stock_quantity differ from the known state."
    assert product.duplicates == 1
    assert product.decided == {"change": 2, "stale": 1, "duplicate": 1}


def test_a_check_has_the_same_result_on_either_worker_and_applies_nothing(site: Site) -> None:
    told = ProductDetail.model_validate(get(f"{site.url}/api/products/{LAMP_ID}")[1])
    cases = [
        (lamp_history()[3], "duplicate"),
        (lamp_history()[0], "stale"),
        (event(LAMP_ID, number=9, price="99.00"), "change"),
        (event(LAMP_ID, number=9, action="deleted"), "tombstone"),
        (event(LAMP_ID + 10**6, price="1.00"), "change"),
        (b"{", "dead_letter"),
        (event(LAMP_ID, price="-1"), "dead_letter"),
    ]
    for value, outcome in cases:
        verdicts = [get(f"{url}/api/check", value) for url in site.urls]
        assert verdicts[0] == verdicts[1]
        assert verdicts[0][0] == 200
        assert ProductCheck.model_validate(verdicts[0][1]).outcome == outcome, value
    mismatch = get(f"{site.url}/api/check?key=7", lamp_history()[1])[1]
    assert "key is '7', but its product_id is" in mismatch["why"]
    assert get(f"{site.url}/api/products/{LAMP_ID}")[1] == told.model_dump()


def test_the_overview_counts_what_the_oracle_counts(site: Site) -> None:
    oracle = judge(asyncio.run(read_topic(site.bootstrap_servers, site.names.source)))
    views = [ProductOverview.model_validate(get(f"{url}/api/overview")[1]) for url in site.urls]
    totals = {o: sum(view.totals[o] for view in views) for o in views[0].totals}
    expected = {**dict.fromkeys(totals, 0), **oracle.outcomes}
    assert totals == expected
    emitting = sum(expected[outcome] for outcome in ("change", "tombstone"))
    output = asyncio.run(read_topic(site.bootstrap_servers, site.names.states))
    assert sum(len(records) for records in output.values()) == emitting
    living = sum(events[-1] is not None for events in emissions(output).values())
    for view in views:
        group = view.group
        assert group is not None
        assert (group.answered, group.unanswered) == (2, [])
        assert group.totals == expected
        assert sum(group.dead_letters.values()) == expected["dead_letter"]
        assert (group.rows, group.lag_records) == (living, 0)
        assert [each.partition for each in group.partitions] == [0, 1, 2, 3]
        for worker, alone in zip(
            sorted(view.workers, key=lambda each: site.urls.index(each.url)), views, strict=True
        ):
            assert worker.figures is not None
            assert (worker.figures.totals, worker.figures.since) == (alone.totals, alone.since)
            assert {
                each.worker for each in group.partitions if each.partition in worker.partitions
            } == {worker.url}
    for view in views:
        assert view.state == "ready"
        assert sorted(p for worker in view.workers for p in worker.partitions) == [0, 1, 2, 3]
        assert [worker.url for worker in view.workers if worker.this] == [view.worker]
        assert sum(sum(counts.values()) for counts in view.intervals) <= sum(view.totals.values())
    assert all(p.lag_records == 0 for view in views for p in view.partitions)


def test_the_dead_letters_are_those_on_the_topic(site: Site) -> None:
    topic = asyncio.run(read_topic(site.bootstrap_servers, site.names.dead_letters))
    number = sum(len(records) for records in topic.values())
    both = [DeadLetters.model_validate(get(f"{u}/api/dead-letters")[1]) for u in site.urls]
    letters = both[0]
    reasons = Counter(
        dict(record.headers)["dedup.errors.reason"].decode()
        for records in topic.values()
        for record in records
    )
    for each in both:
        assert Counter(each.counted) == reasons
        assert each.unanswered == []
    assert len(letters.letters) == min(50, number) > 10
    for letter in letters.letters:
        partition, offset = map(int, letter.position.split(":"))
        (record,) = [r for r in topic[partition] if r.offset == offset]
        assert dict(record.headers)["dedup.errors.reason"].decode() == letter.reason
        assert letter.value_bytes == len(record.value or b"")
    assert [each.time for each in letters.letters] == sorted(
        (each.time for each in letters.letters), reverse=True
    )


def test_the_description_is_valid_and_covers_every_json_page(site: Site) -> None:
    validate(document())
    served = get(f"{site.url}/api/openapi.json")[1]
    assert served == document()
    assert document_text() == Path(__file__).parents[2].joinpath("docs/openapi.json").read_text(), (
        "run `make docs`"
    )
    for path, operations in served["paths"].items():
        if "get" in operations:
            status, body = get(site.url + path.format(product_id=LAMP_ID))
            schema = operations["get"]["responses"][str(status)]["content"]["application/json"]
            name = schema["schema"]["$ref"].rpartition("/")[2]
            assert set(body) == set(served["components"]["schemas"][name]["properties"])
    assert TypeAdapter(Version).validate_python(get(f"{site.url}/version")[1])


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/api/nothing", 404, "Not Found"),
        ("/api/products/0", 404, "from 1 to 2^63-1"),
        ("/api/products/9999999999999999999", 404, "from 1 to 2^63-1"),
        ("/api/products?after=x", 400, "after must be a product_id"),
        ("/api/products?before=-1", 400, "before must be a product_id"),
        ("/api/products?after=9223372036854775808", 400, "after must be a product_id"),
    ],
)
def test_an_invalid_address_is_answered_with_an_error(
    site: Site, path: str, status: int, part: str
) -> None:
    found, body = get(site.url + path)
    assert (found, set(body)) == (status, {"error"})
    assert part in body["error"]


def test_a_worker_asked_for_itself_alone_asks_no_other(site: Site) -> None:
    """What workers ask each other: so a question never goes round."""
    owner = site.owner_of(LAMP_ID)
    here, there = (
        get(f"{site.urls[n]}/api/products/{LAMP_ID}?local=1") for n in (owner, 1 - owner)
    )
    assert (here[0], here[1]["known"], there[0], there[1]["known"]) == (200, True, 404, False)
    assert sorted(here[1]["searched"] + there[1]["searched"]) == [0, 1, 2, 3]
    value = lamp_history()[3]
    verdicts = [get(f"{url}/api/check?local=1", value)[1]["outcome"] for url in site.urls]
    assert (verdicts[owner], verdicts[1 - owner]) == ("duplicate", "change")
    assert get(f"{site.url}/api/overview?local=1")[1]["group"] is None


def test_markup_in_a_name_is_text_in_the_html(site: Site) -> None:
    status, html = get(f"{site.url}/products/{XSS_ID}")
    assert status == 200
    assert XSS_NAME not in html
    assert "&lt;img src=x onerror=" in html


def test_the_metrics_of_a_worker_agree_with_the_tool_when_all_is_done(site: Site) -> None:
    told = committed_and_lag(site.bootstrap_servers, site.names)
    found: dict[int, float] = {}
    for worker in site.workers:
        metrics = worker.metrics()
        for name, value in metrics.items():
            lag = re.match(r'dedup_consumer_lag_records\{partition="(\d)",', name)
            if lag:
                found[int(lag[1])] = value
        assert metrics["dedup_products"] > 0
        assert metrics["dedup_rebalances_total"] >= 1
    assert found == {partition: float(lag) for partition, (_, _, lag) in told.items()}


def test_the_log_says_what_runs_and_nothing_of_each_event(site: Site) -> None:
    for worker in site.workers:
        log = worker.log()
        assert f"product-dedup {__version__}, Python 3." in log
        assert f"KAFKA_PRODUCT_TOPIC={site.names.source}" in log
        assert f"Assigned partitions of {site.names.source}: [" in log
        assert re.search(r"Recovery of \S+ partitions \[.*\] complete: 0 records", log)
        assert "evt_" not in log
        assert "Laptop" not in log
        at_work = log.rpartition("Worker ready")[2]
        assert at_work.count("\n") < 30, at_work
