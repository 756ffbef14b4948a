"""The pages behind a reverse proxy that serves them below a path, in Chromium."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from aiohttp.test_utils import make_mocked_request
from playwright.sync_api import Browser, Page, expect

from dedup.localkafka.ports import free_port
from dedup.settings import load_settings
from dedup.web.addresses import Addresses
from tests.support.records import event
from tests.support.topics import partition_of, produce
from tests.support.workers import Names, WorkerProcess, wait_until_counted
from tests.web.conftest import apart, get, wait_for
from tests.web.proxy import Proxy

IDS = range(1, 61)
LINKS = """() => [
  ...[...document.querySelectorAll("a[href], link[href]")].map((each) => each.getAttribute("href")),
  ...[...document.querySelectorAll("script[src]")].map((each) => each.getAttribute("src")),
  ...[...document.querySelectorAll("form[action]")].map((each) => each.getAttribute("action")),
  ...[...document.querySelectorAll("[data-live]")].map((each) => each.dataset.live),
]"""


@dataclass
class Below:
    """Two workers that are reached below `/dedup/one` and `/dedup/two` of a proxy."""

    kafka: str
    names: Names
    proxy: Proxy
    workers: dict[str, WorkerProcess]

    def url(self, kind: str, name: str) -> str:
        return f"http://127.0.0.1:{self.proxy.port}/{kind}/{name}"


@pytest.fixture(scope="module")
def below(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Below]:
    names, port = Names.fresh(), free_port()
    directory = tmp_path_factory.mktemp("below")
    one, two = (
        WorkerProcess(
            kafka,
            directory / name,
            names.settings | {"DEDUP_WEB_URL": f"http://127.0.0.1:{port}/dedup/{name}/"},
        )
        for name in ("one", "two")
    )
    with one, two, Proxy(port, {"one": one.port, "two": two.port}) as proxy:
        made = Below(kafka, names, proxy, {"one": one, "two": two})
        wait_for(lambda: [_owned(made, name) for name in ("one", "two")] == [2, 2], 120)
        send(made, [event(i, action="created", product_name=f"Lamp {i}") for i in IDS], IDS)
        wait_until_counted(len(IDS), one, two)
        yield made


def _owned(below: Below, name: str) -> int:
    try:
        status, found = get(f"{below.url('dedup', name)}/api/overview")
    except OSError:
        return 0
    return len(found["partitions"]) if status == 200 else 0


def send(below: Below, values: list[bytes], ids: range) -> None:
    records: list[tuple[bytes | None, bytes | None]] = [
        (b"%d" % product_id, value) for product_id, value in zip(ids, values, strict=True)
    ]
    apart(produce(below.kafka, records, below.names.source))


def walk(page: Page, root: str) -> dict[str, int]:
    """Open every page that a link leads to, from the root on; gives the status of each link."""
    found: dict[str, int] = {}
    left = [root + "/"]
    while left:
        url = left.pop()
        if url in found:
            continue
        if urlsplit(url).path.endswith("/live"):
            found[url] = page.evaluate(
                "async (url) => { const stop = new AbortController();"
                " const status = (await fetch(url, {signal: stop.signal})).status;"
                " stop.abort(); return status; }",
                url,
            )
            continue
        answer = page.context.request.get(url)
        found[url] = answer.status
        if "text/html" not in answer.headers["content-type"]:
            continue
        page.goto(url)
        links = [urldefrag(urljoin(page.url, each))[0] for each in page.evaluate(LINKS)]
        # Products differ by nothing but their number: a few of them are enough.
        left += [each for each in links if not re.search(r"/products/\d\d", each)]
    return found


@pytest.mark.parametrize("kind", ["dedup", "plain"])
def test_every_link_of_every_page_holds_below_a_path(
    browser: Browser, below: Below, kind: str
) -> None:
    """With `X-Forwarded-Prefix`, and behind a proxy that says nothing of its path."""
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    root = below.url(kind, "one")
    statuses = walk(page, root)
    assert {url: status for url, status in statuses.items() if status not in (200, 503)} == {}
    assert [u for u, status in statuses.items() if status == 503] == []
    paths = {urlsplit(url).path.removeprefix(f"/{kind}/one") for url in statuses}
    shown = {re.sub(r"\d+", "N", path) for path in paths}
    assert shown >= {
        "/", "/products", "/products/N", "/products/N/live", "/live", "/check", "/dead-letters",
        "/api", "/api/openapi.json", "/api/overview", "/api/products", "/metrics", "/readyz",
        "/livez", "/version", "/static/app.css", "/static/app.js", "/static/icon.svg",
    }  # fmt: skip
    named = tuple(f"{below.url('dedup', name)}/" for name in below.workers)
    assert named[1] in statuses, "the link to the other worker"
    assert [url for url in statuses if not url.startswith((f"{root}/", *named))] == []
    assert all(urlsplit(url).path.startswith(("/dedup/", "/plain/")) for url in asked), asked
    context.close()


@pytest.mark.parametrize("kind", ["dedup", "plain"])
def test_forms_errors_and_live_updates_work_below_a_path(
    browser: Browser, below: Below, kind: str
) -> None:
    context = browser.new_context()
    context.set_default_timeout(30_000)
    page = context.new_page()
    root = below.url(kind, "one")
    page.goto(f"{root}/check")
    page.fill("#event", event(1, number=9, product_name="Lamp 1", price="77.00").decode())
    page.click("main button")
    expect(page.locator("#verdict")).to_contain_text("It would be forwarded.")
    page.click("section.answer a")
    assert page.url == f"{root}/products/1"
    page.goto(f"{root}/products")
    page.fill("#search", "lamp 6")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{root}/products?search=lamp+6")
    assert get(f"{root}/nothing/at/all")[0] == 404
    page.goto(f"{root}/nothing/at/all")
    page.click("main a")
    assert page.url == f"{root}/"
    product_id = 1_000 if kind == "dedup" else 1_001
    page.goto(f"{root}/products/{product_id}")
    expect(page.locator(".state").first).to_have_text("not known")
    created = event(product_id, action="created", product_name="Came live")
    send(below, [created], range(product_id, product_id + 1))
    expect(page.locator("h1")).to_contain_text("Came live")
    context.close()


def test_workers_ask_each_other_below_their_paths(below: Below) -> None:
    """Each product is found from either worker, through the proxy that the addresses name."""
    owners = {}
    for product_id in (1, 2, 3, 4, 5, 6, 7, 8):
        both = [get(f"{below.url('dedup', n)}/api/products/{product_id}") for n in ("one", "two")]
        assert [status for status, _ in both] == [200, 200]
        assert both[0][1]["row"] == both[1][1]["row"]
        owners[partition_of(b"%d" % product_id)] = both[0][1]["worker"]
    assert set(owners.values()) == {below.url("dedup", name) for name in ("one", "two")}


def test_a_proxy_that_strips_nothing_finds_the_pages_below_the_path_too(
    browser: Browser, below: Below
) -> None:
    """The worker itself serves below the path of DEDUP_WEB_URL."""
    port = below.workers["one"].port
    context = browser.new_context()
    page = context.new_page()
    for start in ("", "/"):
        page.goto(f"http://127.0.0.1:{port}/dedup/one{start}")
        expect(page.locator("h1")).to_contain_text("Overview")
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") == "24px"
        page.get_by_role("link", name="Products", exact=True).click()
        assert page.url == f"http://127.0.0.1:{port}/dedup/one/products"
    status, ready = get(f"http://127.0.0.1:{port}/dedup/one/readyz")
    assert (status, ready["ok"]) == (200, True)
    context.close()


@pytest.mark.parametrize(
    "prefix",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "/a/../b", "/a//b", "/./a",
        '/"><script>', "/a?b", "/a#b", "/a b", "/%2e%2e/", "javascript:alert(1)", "/a, /b", "/",
        "dedup", "/" + "a" * 300,
    ],
)  # fmt: skip
def test_a_prefix_that_is_no_plain_path_is_ignored(prefix: str) -> None:
    """The header is anybody's text: it can't lead a link to another host or into the page."""
    addresses = Addresses(load_settings({}))
    request = make_mocked_request("GET", "/products/7", {"X-Forwarded-Prefix": prefix})
    assert addresses.links(request)("/check") == "../check"


@pytest.mark.parametrize("prefix", ["/dedup", "/dedup/", "/a/b.c/d-e_f~1"])
def test_a_plain_prefix_begins_every_link(prefix: str) -> None:
    request = make_mocked_request("GET", "/products/7", {"X-Forwarded-Prefix": prefix})
    links = Addresses(load_settings({})).links(request)
    assert links("/check") == prefix.rstrip("/") + "/check"
    assert links("/") == prefix.rstrip("/") + "/"


def test_no_page_links_to_the_root_of_the_host() -> None:
    """Every address of ours in a template is made by `url`."""
    templates = Path(__file__).parents[2] / "dedup/web/templates"
    for path in templates.glob("*.html"):
        assert not re.search(r"(href|src|action|data-live)=\"/", path.read_text()), path.name
