"""The pages in a real browser: Debian's Chromium, headless.

`make pictures` has this same run write the pictures of docs/images.
"""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.records import event
from tests.support.topics import produce
from tests.web.conftest import LAMP_ID, XSS_ID, XSS_NAME, Site, get, lamp_history

PAGES = ("/", "/products", f"/products/{LAMP_ID}", f"/products/{XSS_ID}", "/check", "/event")
SLOW_PAGES = (*PAGES, "/api", "/dead-letters")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1120, "height": 760}, color_scheme="light")
    made.set_default_timeout(20_000)
    yield made
    made.close()


class Watched:
    """A page of the browser, and what it complained of."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page: Page = context.new_page()
        self.url = url
        self.complaints: list[str] = []
        self.requested: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requested.append(request.url))

    def open(self, path: str) -> Page:
        response = self.page.goto(self.url + path)
        assert response is not None
        assert response.status == 200, path
        return self.page


@pytest.fixture
def watched(context: BrowserContext, site: Site) -> Iterator[Watched]:
    """A page that must not complain, such as of the Content-Security-Policy."""
    made = Watched(context, site.url)
    yield made
    assert made.complaints == []
    assert all(url.startswith(site.url + "/") for url in made.requested), "something is not ours"


def test_every_page_opens_without_a_complaint_and_has_its_style(watched: Watched) -> None:
    for path in SLOW_PAGES:
        page = watched.open(path)
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") == "24px"


def test_a_name_full_of_markup_is_shown_and_does_nothing(watched: Watched) -> None:
    """In the list, the search box, the title and the page; what comes live is shown below."""
    for path in (f"/products/{XSS_ID}", "/products?search=%3Cimg", f"/products?search={XSS_NAME}"):
        page = watched.open(path)
        page.wait_for_timeout(300)
        assert page.title() != "hacked"
        assert page.locator("main img, main script").count() == 0
    page = watched.open(f"/products/{XSS_ID}")
    assert page.locator("h1").inner_text().startswith(XSS_NAME)


def test_markup_in_an_event_to_be_checked_does_nothing(watched: Watched) -> None:
    page = watched.open("/check")
    page.fill("#event", event(XSS_ID, number=9, product_name=XSS_NAME, price="3.00").decode())
    page.fill("#key", '"><script>document.title="hacked"</script>')
    page.click("main button")
    expect(page.locator("#verdict")).to_be_visible()
    assert page.title() != "hacked"
    assert page.locator("main img, main script").count() == 0


def test_the_script_of_a_page_could_not_be_any_other() -> None:
    """No page has a script or a style within it: the policy could not be loosened unnoticed."""
    templates = Path(__file__).parents[2] / "dedup/web/templates"
    text = "".join(path.read_text() for path in templates.glob("*.html"))
    assert text.count("<script") == 1
    assert not [
        word for word in ("<style", " style=", " onclick", "javascript:", "|safe") if word in text
    ]


def test_live_updates_need_no_reload(site: Site, watched: Watched) -> None:
    product_id = LAMP_ID + 1
    watched.url = site.urls[site.owner_of(product_id)]
    page = watched.page
    page.goto(f"{watched.url}/products/{product_id}")  # 404: not known yet
    expect(page.locator(".state")).to_have_text("not known")
    watched.complaints.clear()
    produce_one(site, product_id)
    expect(page.locator(".state")).to_have_text("known")
    assert page.locator("h1").inner_text().startswith(XSS_NAME)
    assert page.title() != "hacked"
    assert page.locator("main img, main script").count() == 0
    expect(page.locator(".answer")).to_contain_text("forwarded. Nothing was known of this product")
    overview = watched.open("/")
    before = get(f"{watched.url}/api/overview")[1]["group"]["totals"]["duplicate"]
    produce_one(site, product_id)
    cell = overview.locator("tr", has=overview.locator(".badge.duplicate")).locator("td").nth(1)
    expect(cell).to_have_text(f"{before + 1:,}")
    watched.requested.clear()  # of the owner, which may be the other worker


def produce_one(site: Site, product_id: int) -> None:
    value = event(product_id, action="created", product_name=XSS_NAME)
    sending = produce(site.bootstrap_servers, [(b"%d" % product_id, value)], site.names.source)
    thread = threading.Thread(target=lambda: asyncio.run(sending))  # playwright has its own loop
    thread.start()
    thread.join()


def test_a_reader_with_a_keyboard_gets_everywhere(watched: Watched) -> None:
    page = watched.open(f"/products/{LAMP_ID}")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    first = page.locator("details.decision summary").first
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("details.decision").first).not_to_have_attribute("open", "")
    page.wait_for_timeout(2_200)  # a live update must not take the focus away
    expect(first).to_be_focused()
    page = watched.open("/products")
    page.keyboard.press("Tab")
    pages = ("Overview", "Products", "Check an event", "Event format", "Dead letters", "API")
    for name in ("product-dedup", *pages):
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name=name, exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("laptop pro")
    page.keyboard.press("Enter")
    page.wait_for_url("**search=laptop**")


def test_without_javascript_every_page_works(browser: Browser, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.url}/products")
    names = page.locator("tbody th a")
    assert names.count() == 50
    first = names.first.inner_text()
    page.click("a[rel=next]")
    assert names.first.inner_text() != first
    page.click("a[rel=prev]")
    assert names.first.inner_text() == first
    names.first.click()
    assert page.locator("h1").inner_text().startswith(first)
    page.goto(f"{site.url}/")
    assert page.locator(".chart rect").count() > 0
    page.goto(f"{site.url}/check")
    page.fill("#event", lamp_history()[3].decode())
    page.click("main button")
    assert "not be forwarded" in page.locator("#verdict").inner_text()
    context.close()


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_the_screen_and_shows_all_its_text(
    browser: Browser, site: Site, width: int, scheme: str
) -> None:
    """No sideways scrolling, of the page or of a part of it, and no text cut off."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    for path in SLOW_PAGES:
        page.goto(site.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(_CUT) == [], path
    context.close()


_CUT = """() => {
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    const shown = node.checkVisibility() && !node.closest(".skip, .stack thead, title");
    if (!own || !shown) continue;
    const box = node.getBoundingClientRect();
    if (box.left < -1 || box.right > innerWidth + 1) found.push(`out: ${node.textContent}`);
    if (node.namespaceURI.endsWith("svg") || ["TEXTAREA", "PRE"].includes(node.tagName)) continue;
    if (node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).display !== "inline")
      found.push(`cut: ${node.textContent}`);
  }
  return found;
}"""


# Each finds and looks in one step: between two, a live page replaces its rows.
_LABELS = """(row) => [...document.querySelector(row).querySelectorAll("td")]
  .map((cell) => getComputedStyle(cell, "::before").content)"""
_HEIGHTS = """(texts) => [...document.querySelectorAll(texts)]
  .map((text) => text.getBoundingClientRect().height)"""


def test_on_a_narrow_screen_each_row_is_a_card_with_its_labels(
    browser: Browser, site: Site
) -> None:
    """A reader sees the name first, then a line for each cell, in letters of a readable size."""
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(f"{site.url}/products")
    row = page.locator("tbody tr").first
    name = row.locator("th").bounding_box()
    cells = [cell.bounding_box() for cell in row.locator("td").all()]
    assert name is not None
    tops = [name["y"], *(box["y"] for box in cells if box is not None)]
    assert len(tops) == 8
    assert tops == sorted(set(tops)), "one below the other"
    assert page.evaluate(_LABELS, "tbody tr") == [
        '"id"', '"description"', '"price"', '"stock quantity"', '"discount"', '"last change"',
        '"at (UTC)"',
    ]  # fmt: skip
    page.goto(site.url)
    assert page.evaluate(_LABELS, "#results ~ .scroll tbody tr")[:3] == [
        '"last 5 min"', '"since start"', '"share"',
    ]  # fmt: skip
    assert min(page.evaluate(_HEIGHTS, ".chart text")) >= 10
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Browser, site: Site, scheme: str) -> None:
    """WCAG AA, 4.5 to 1, for every text on every page, in both schemes."""
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    for path in SLOW_PAGES:
        page.goto(site.url + path)
        faint = page.evaluate(_FAINT)
        assert faint == [], path
    context.close()


_FAINT = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("main *, header *, footer *")) {
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    if (!own || node.closest("svg") || !node.checkVisibility()) continue;
    const a = light(parse(getComputedStyle(node).color)), b = light(ground(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${node.className || node.tagName} ${ratio.toFixed(2)}`);
  }
  return [...new Set(found)];
}"""


def test_pictures_of_the_pages_can_be_taken(
    context: BrowserContext, site: Site, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Written to docs/images by `make pictures`, to a place of the test otherwise."""
    directory: Path = pytestconfig.getoption("--pictures") or tmp_path
    directory.mkdir(parents=True, exist_ok=True)
    page = context.new_page()
    other = site.urls[1 - site.owner_of(LAMP_ID)]
    shots = {"overview": "/", "product": f"/products/{LAMP_ID}", "products": "/products"}
    for name, path in shots.items():
        page.goto(other + path)
        page.screenshot(path=directory / f"{name}.png", full_page=name != "products")
    page.goto(f"{other}/check")
    value = event(LAMP_ID, number=9, product_name="Desk Lamp", price="11.00", stock_quantity=7)
    page.fill("#event", value.decode())
    page.click("main button")
    expect(page.locator("#verdict")).to_contain_text("It would be forwarded.")
    page.screenshot(path=directory / "check.png")
    page.emulate_media(color_scheme="dark")
    page.goto(f"{other}/dead-letters")
    page.locator("summary").first.click()
    page.screenshot(path=directory / "dead-letters.png")
    for name in (*shots, "check", "dead-letters"):
        assert (directory / f"{name}.png").read_bytes().startswith(b"\x89PNG")
