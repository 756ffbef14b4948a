"""Pages and API of an entity with ids of any text: two real workers of a group of orders."""

import asyncio
import json
import re
import uuid
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import quote, urljoin

import pytest
from openapi_spec_validator import validate
from playwright.sync_api import Browser, expect

from dedup.web.entity_models import models_of
from dedup.web.entity_view import shown_id
from dedup.web.ids import segment
from dedup.web.models import EntityDetail
from dedup.web.openapi import document
from tests.support.topics import partition_of, produce
from tests.support.workers import Names, WorkerProcess, wait_until_counted
from tests.web.conftest import Site, get, wait_for
from tests.web.orders import HOSTILE, MARKUP, ORDER, RIGHT_TO_LEFT, order
from tests.web.pairs import owned

IDS = [*HOSTILE, *(f"AB-{number}" for number in range(90))]
SORTED = sorted(IDS, key=str.encode)
PAGES = ("/", "/orders", "/orders/AB-1", "/check", "/event", "/dead-letters", "/api")


@pytest.fixture(scope="module")
def orders(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two workers that have processed an event of every order, and a repetition of each."""
    run = uuid.uuid4().hex[:8]
    names = Names(*(f"{name}-{run}" for name in ("orders", "src", "dlq", "group")))
    directory = tmp_path_factory.mktemp("orders")
    settings = {**names.settings, "DEDUP_ENTITY": "tests.web.orders:ORDER"}
    first, second = (WorkerProcess(kafka, directory / name, settings) for name in ("1st", "2nd"))
    with first, second:
        made = Site(kafka, names, (first, second))
        wait_for(lambda: all(len(owned(url)) == 2 for url in made.urls))
        events = [(i.encode(), order(i, customer=f"{MARKUP} {i}"[:80])) for i in IDS]
        events += [*events, (b"AB-0", b"{")]
        asyncio.run(produce(kafka, events, names.source))
        wait_until_counted(len(events), first, second)
        wait_for(lambda: all(get(f"{u}/api/orders")[1]["total"] == len(IDS) for u in made.urls))
        yield made


class Links(HTMLParser):
    """The links of a page: those of the rows, and the next one."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.next: str | None = None
        self._is_row = False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        known = dict(attributes)
        if tag == "a" and known.get("rel") == "next":
            self.next = known["href"]
        elif tag == "a" and self._is_row:
            self.rows.append(known["href"] or "")
        self._is_row = tag == "th" and known.get("scope") == "row"


def test_the_links_of_the_list_lead_to_every_order(orders: Site) -> None:
    """As a browser resolves them, page after page, from one worker to the other's orders too."""
    for url in orders.urls:
        found: list[str] = []
        page: str | None = f"{url}/orders"
        while page is not None:
            links = Links(get(page)[1])
            for link in links.rows:
                address = urljoin(page, link)
                status, body = get(address.replace("/orders/", "/api/orders/"))
                assert status == 200, address
                assert body["row"]["order_id"] == body["order_id"]
                found.append(body["order_id"])
            page = None if links.next is None else urljoin(page, links.next)
        assert found == SORTED


@pytest.mark.parametrize("order_id", HOSTILE)
def test_an_order_is_found_by_its_id_from_either_worker(orders: Site, order_id: str) -> None:
    path = f"/orders/{segment(order_id)}"
    first, second = (get(f"{url}/api{path}") for url in orders.urls)
    assert first == second
    found = models_of(ORDER).of(EntityDetail).model_validate(first[1])
    assert (first[0], found.id, found.partition) == (200, order_id, partition_of(order_id.encode()))
    assert found.decided == {"change": 1, "duplicate": 1}
    status, html = get(orders.url + path)
    assert status == 200
    assert f'data-live="../orders/{segment(order_id)}/live"' in html
    assert MARKUP not in html
    if not re.search(r"~[0-9]|/|^\.\.?$", order_id):  # taken for an escape, or resolved on the way
        assert get(f"{orders.url}/api/orders/{quote(order_id, safe='')}")[1] == first[1]


def test_the_list_goes_on_and_back_in_the_order_of_the_store(orders: Site) -> None:
    for url in orders.urls:
        for search, wanted in (
            ("", SORTED),
            ("aB-1", [i for i in SORTED if i.startswith("AB-1")]),
            (RIGHT_TO_LEFT, [RIGHT_TO_LEFT]),
            ("%2f", [i for i in SORTED if "%2f" in i.casefold()]),
        ):
            for by, following, start in (
                ("after", "next_after", ""),
                ("before", "previous_before", "\U0010ffff" * 3),
            ):
                found: list[str] = []
                at: str | None = start
                while at is not None:
                    query = f"search={quote(search)}&{by}={quote(at)}"
                    page = get(f"{url}/api/orders?{query}")[1]
                    ids = [line["order_id"] for line in page["orders"]]
                    found = [*found, *ids] if by == "after" else [*ids, *found]
                    at = page[following]
                assert found == wanted, (search, by)


def test_there_and_back_again_is_the_same_page(orders: Site) -> None:
    first = get(f"{orders.url}/api/orders")[1]
    second = get(f"{orders.url}/api/orders?after={quote(first['next_after'])}")[1]
    back = get(f"{orders.url}/api/orders?before={quote(second['previous_before'])}")[1]
    assert (first["previous_before"], back["orders"]) == (None, first["orders"])
    again = get(f"{orders.url}/api/orders?after={quote(back['next_after'])}")[1]
    assert again["orders"] == second["orders"]


def test_an_event_is_checked_by_the_worker_that_knows_the_order(orders: Site) -> None:
    for order_id in HOSTILE:
        for url in orders.urls:
            same = get(f"{url}/api/check", order(order_id, 9, customer=f"{MARKUP} {order_id}"[:80]))
            paid = get(f"{url}/api/check", order(order_id, 9, status="paid"))
            assert (same[1]["outcome"], same[1]["order_id"]) == ("duplicate", order_id)
            assert (paid[1]["outcome"], paid[1]["action"]) == ("change", None)
            status = {each["field"]: each for each in paid[1]["comparisons"]}["status"]
            assert (status["known"], status["event"]) == ("open", "paid")
            gift = {each["field"]: each for each in paid[1]["comparisons"]}["is_gift"]
            assert (gift["known"], gift["event"]) == (False, False)


def test_the_description_and_the_example_are_those_of_orders(orders: Site) -> None:
    served = get(f"{orders.url}/api/openapi.json")[1]
    validate(served)
    assert served == json.loads(json.dumps(document(ORDER)))
    assert {"/api/orders", "/api/orders/{order_id}", "/api/event"} <= served["paths"].keys()
    for path, operations in served["paths"].items():
        if "get" in operations:
            status, body = get(orders.url + path.format(order_id="AB-1"))
            schema = operations["get"]["responses"][str(status)]["content"]["application/json"]
            name = schema["schema"]["$ref"].rpartition("/")[2]
            assert set(body) == set(served["components"]["schemas"][name]["properties"])
    described = get(f"{orders.url}/api/event")[1]
    checked = get(f"{orders.url}/api/check", json.dumps(described["example"]).encode())[1]
    assert (checked["outcome"], checked["order_id"]) == ("change", described["example_key"])


def test_nothing_speaks_of_products(orders: Site) -> None:
    for path in (*PAGES, "/orders/none", "/api/orders", "/api/orders/AB-1", "/api/openapi.json"):
        text = str(get(orders.url + path)[1])
        assert not re.search("product", text, re.IGNORECASE), path
        assert re.search("order", text, re.IGNORECASE), path


def test_an_id_that_is_none_is_refused_with_what_one_is(orders: Site) -> None:
    status, body = get(f"{orders.url}/api/orders/{'x' * 65}")
    assert (status, body["error"]) == (404, "An order_id is a text of 1 to 64 characters.")
    assert get(f"{orders.url}/api/orders/a%00b")[0] == 404
    assert get(f"{orders.url}/api/orders?after=%ff")[0] in (200, 400)


def test_a_browser_opens_every_hostile_order_and_none_does_anything(
    browser: Browser, orders: Site
) -> None:
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for order_id in HOSTILE:
        page.goto(f"{orders.url}/orders?search={quote(order_id)}")
        if order_id.strip():
            link = page.get_by_role("link", name=shown_id(order_id), exact=True).first
        else:
            link = page.locator(f'tbody a[href$="/{segment(order_id)}"]')
        link.click()
        expect(page.locator("h1 .state")).to_have_text("known")
        expect(page.locator("[data-asof]")).to_have_class("live")
        assert page.locator("h1 bdi").text_content() == f"Order {shown_id(order_id)}"
        assert page.title() != "hacked"
        assert page.locator("main img, main script").count() == 0
    page.goto(f"{orders.url}/orders?search={quote(MARKUP)}")
    assert page.locator("main img, main script").count() == 0
    assert complaints == []
    context.close()


@pytest.mark.parametrize("width", [390, 1200])
def test_a_wide_table_scrolls_in_itself_and_its_ids_stay_in_view(
    browser: Browser, orders: Site, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    for path in (*PAGES, f"/orders/{segment(MARKUP)}", f"/orders/{'x' * 64}"):
        page.goto(orders.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.goto(f"{orders.url}/orders")
    table = page.locator(".scroll")
    wide, own = table.evaluate("(each) => [each.scrollWidth, each.clientWidth]")
    assert wide > own, "twelve columns do not fit"
    table.evaluate("(each) => { each.scrollLeft = 500 }")
    box = page.locator("tbody th").first.bounding_box()
    assert box is not None
    assert 0 <= box["x"] < box["x"] + box["width"] <= width / 2
    heads = page.locator("thead th").all_inner_texts()
    assert heads == [
        *("id", "status", "customer", "total", "currency", "weight", "is gift", "placed", "due"),
        *("note", "lines", "attributes", "at (UTC)"),
    ]
    assert page.locator("tbody tr").first.locator("td.n").all_inner_texts() == ["-12.50", "null"]
    context.close()
