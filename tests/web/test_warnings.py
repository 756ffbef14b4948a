"""What an operator must be told: dead letters, brokers that are away, a dry run. Real workers."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect

from dedup.dlq.record import DeadLetterRecord
from dedup.localkafka import LocalKafka
from dedup.localkafka.ports import free_port
from tests.support.records import event
from tests.support.topics import produce, read_topic
from tests.support.workers import Names, WorkerProcess
from tests.web.conftest import apart, get, wait_for

GOOD, BROKEN, KEYLESS = 15, 30, 5
LISTED = "See `dedup dlq list`"
WRONG = (
    "The value is not JSON in UTF-8: Expecting property name enclosed in double quotes: line 1 "
    "column 2 (char 1)"
)
PAGES = ("/", "/products", "/products/1", "/products/999", "/check", "/dead-letters", "/api", "/no")


@dataclass
class Pair:
    """A worker and a dry run on the same topics, and the broker they share."""

    broker: LocalKafka
    names: Names
    worker: WorkerProcess
    dry_run: WorkerProcess

    def url(self, worker: WorkerProcess) -> str:
        return f"http://127.0.0.1:{worker.port}"

    def send(self, records: list[tuple[bytes | None, bytes | None]]) -> None:
        apart(produce(self.broker.bootstrap_servers, records, self.names.source))

    def overview(self, worker: WorkerProcess) -> dict[str, object]:
        found: dict[str, object] = get(f"{self.url(worker)}/api/overview")[1]
        return found

    def wait_for_total(self, worker: WorkerProcess, events: int) -> None:
        def total() -> bool:
            totals = self.overview(worker)["totals"]
            assert isinstance(totals, dict)
            return sum(totals.values()) == events

        wait_for(total, 120)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both have seen 15 good events and 35 dead letters; the broker is this module's own."""
    names, directory = Names.fresh(), tmp_path_factory.mktemp("pair")
    # Not the default port: another broker could take it while this one is down.
    with LocalKafka(port=free_port()) as broker:
        servers = broker.bootstrap_servers
        worker = WorkerProcess(servers, directory / "worker", names.settings)
        dry = WorkerProcess(servers, directory / "dry", names.settings | {"DEDUP_DRY_RUN": "true"})
        with worker, ExitStack() as at_end:
            at_end.callback(dry.kill)
            worker.wait_until_ready()  # it has made the topics
            dry.start()
            dry.wait_until_ready()
            made = Pair(broker, names, worker, dry)
            made.send([(b"%d" % i, event(i, action="created")) for i in range(1, GOOD + 1)])
            made.send([(b"%d" % i, b"{broken") for i in range(1, BROKEN + 1)])
            made.send([(None, event(i)) for i in range(1, KEYLESS + 1)])
            for each in (worker, dry):
                made.wait_for_total(each, GOOD + BROKEN + KEYLESS)
            yield made


def newest_of_each(pair: Pair) -> dict[int, int]:
    """The offset of the newest unreadable event of each partition, from the dead-letter topic."""
    found: dict[int, DeadLetterRecord] = {}

    async def read() -> None:
        topic = await read_topic(pair.broker.bootstrap_servers, pair.names.dead_letters)
        for partition, records in topic.items():
            for record in records:
                letter = DeadLetterRecord(
                    partition, record.offset, 0, record.key, record.value, tuple(record.headers)
                )
                if letter.reason == "invalid_json":
                    found[partition] = letter

    apart(read())
    return {p: letter.source_offset for p, letter in found.items() if letter.source_offset}


def sentences(pair: Pair, verb: str, where: str) -> set[str]:
    """What may be said: the example is the newest unreadable event of one of the partitions."""
    return {
        f"35 of the last 50 events (70%) {verb} dead letters, most often for invalid_json, such "
        f"as the event at partition {partition} offset {offset} of the source topic: {WRONG}. "
        f"{where}."
        for partition, offset in newest_of_each(pair).items()
    }


def test_a_majority_of_dead_letters_is_reported_everywhere(pair: Pair, browser: Browser) -> None:
    """On page, API and in the readiness detail, which stays ready; with an example that is true."""
    url = pair.url(pair.worker)
    said = get(f"{url}/api/overview")[1]["warnings"]["dead_letters"]
    assert said in sentences(pair, "are", LISTED)
    status, ready = get(f"{url}/readyz")
    assert (status, ready["ok"], ready["failing"]) == (200, True, {})
    assert ready["warnings"] == {"dead_letters": said}
    page = browser.new_page()
    page.goto(url)
    expect(page.locator(".banner.warning")).to_have_text(said.replace("`", ""))
    expect(page.locator("h1 .state")).to_have_class("state warned")
    page.close()
    for worker in (pair.worker, pair.dry_run):
        assert worker.metrics()["dedup_mostly_dead_letters"] == 1


def test_it_is_logged_as_one_warning(pair: Pair) -> None:
    for worker, verb in ((pair.worker, "are"), (pair.dry_run, "would be")):
        lines = [line for line in worker.log().splitlines() if "dead letters" in line]
        assert [line for line in lines if "WARNING" in line] == lines
        assert len(lines) == 1, lines
        assert f"{verb} dead letters, most often for " in lines[0]


def test_a_dry_run_says_so_on_every_page_and_counts_nothing_as_written(
    pair: Pair, browser: Browser
) -> None:
    dry, worker = pair.url(pair.dry_run), pair.url(pair.worker)
    page = browser.new_page()
    for path in PAGES:
        page.goto(dry + path)
        expect(page.locator(".banner.observing")).to_contain_text(
            "Dry run: this worker only observes."
        )
        page.goto(worker + path)
        assert page.get_by_text("Dry run").count() == 0, path
    page.goto(dry)
    labels = page.locator(".tiles dt").all_inner_texts()
    assert "would be emitted" in labels
    assert "records out" not in labels
    assert "would be emitted" in page.locator("tr", has_text="change").first.inner_text()
    page.goto(f"{dry}/products/1")
    expect(page.locator("main")).to_contain_text("would not be forwarded.")
    expect(page.locator("#row")).to_have_text(f"Row that would be on {pair.names.states}")
    page.close()
    for path in ("/api/overview", "/readyz", "/livez", "/version"):
        assert get(dry + path)[1]["dry_run"] is True, path
        assert get(worker + path)[1]["dry_run"] is False, path
    assert pair.dry_run.metrics()["dedup_dry_run"] == 1
    assert pair.worker.metrics()["dedup_dry_run"] == 0
    assert pair.overview(pair.worker)["would_emit_per_second"] is None


def test_a_dry_run_s_rates_are_of_what_would_be_emitted(pair: Pair) -> None:
    first = 10_000
    pair.send([(b"%d" % i, event(i, action="created")) for i in range(first, first + 200)])
    shown = wait_for(
        lambda: next((o for o in [pair.overview(pair.dry_run)] if o["would_emit_per_second"]), None)
    )
    assert shown["emitted_per_second"] == 0
    said = get(f"{pair.url(pair.dry_run)}/api/overview")[1]["warnings"]
    # 35 of 250: most are not dead letters any more.
    pair.wait_for_total(pair.dry_run, GOOD + BROKEN + KEYLESS + 200)
    assert get(f"{pair.url(pair.dry_run)}/api/overview")[1]["warnings"] == {}, said
    assert pair.dry_run.metrics()["dedup_mostly_dead_letters"] == 0
    (over,) = [line for line in pair.dry_run.log().splitlines() if "dead letters is over" in line]
    assert "INFO" in over
    # At a quarter, or with the batch in which they became fewer.
    assert re.search(r": 35 of the last \d+ events \(\d+%\) would be dead letters\.$", over)


def test_unavailable_brokers_are_reported_within_seconds_with_the_time_of_the_lag(
    pair: Pair, browser: Browser
) -> None:
    """The worker stays alive; it is ready again when they answer again."""
    url = pair.url(pair.worker)
    page = browser.new_page()
    page.goto(url)
    wait_for(lambda: get(f"{url}/readyz")[1]["warnings"] == {})
    expect(page.locator("h1 .state")).to_have_text("ready", timeout=30_000)
    pair.broker.kill()
    went = datetime.now(UTC)
    try:
        warned = wait_for(lambda: get(f"{url}/readyz")[1]["warnings"].get("brokers"), 25)
        since = datetime.strptime(
            re.findall(r"since (.{19}) UTC", warned)[0], "%Y-%m-%d %H:%M:%S"
        ).replace(tzinfo=UTC)
        assert went - timedelta(seconds=15) < since <= went + timedelta(seconds=3)
        shown = pair.overview(pair.worker)
        assert shown["state"] == "waiting for the brokers"
        as_of = datetime.fromisoformat(str(shown["lag_as_of"]))
        assert as_of.replace(microsecond=0) == since
        live, alive = get(f"{url}/livez")
        assert (live, alive["ok"]) == (200, True)
        expect(page.locator("h1 .state")).to_have_text("waiting for the brokers")
        text = f"The brokers have not answered since {since:%Y-%m-%d %H:%M:%S} UTC"
        expect(page.locator(".banner.warning")).to_contain_text(text)
        expect(page.locator(".tiles")).to_contain_text(f"as of {since:%H:%M:%S} UTC")
        assert pair.worker.metrics()["dedup_brokers_answered_timestamp_seconds"] == pytest.approx(
            as_of.timestamp(), abs=0.001
        )
    finally:
        pair.broker.restart()
    wait_for(lambda: get(f"{url}/readyz")[1]["warnings"] == {}, 120)
    expect(page.locator("h1 .state")).to_have_text("ready", timeout=60_000)
    expect(page.locator(".banner.warning")).to_have_count(0)
    wait_for(lambda: pair.overview(pair.worker)["lag_records"] == 0)
    page.close()
