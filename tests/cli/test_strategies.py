"""The commands on the topics of a worker with another strategy than the default one."""

import asyncio
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.cli.topics import Topics
from tests.support.records import event
from tests.support.topics import produce, wait_until_done
from tests.support.workers import WorkerProcess, wait_until_counted

PRODUCTS = 12
WINDOWS = [(s, k) for s in ("distinct", "event_id") for k in ("fixed", "sliding")]


class Done:
    """A worker that lost its disk in the midst, with what it counted before and after."""

    def __init__(self, topics: Topics, settings: dict[str, str]) -> None:
        self.topics = topics
        self.settings = settings
        self.counted = Counter[str]()

    def run(self, *arguments: str) -> str:
        return self.topics.run(*arguments, **self.settings)

    def json_of(self, *arguments: str) -> Any:
        return self.topics.json_of(*arguments, **self.settings)


def events(random: Random, first: int, number: int) -> list[tuple[bytes | None, bytes | None]]:
    """Contents that come back, ids that come back, and some deletes; a second between them."""
    made: list[tuple[bytes | None, bytes | None]] = []
    for second in range(first, first + number):
        row_id = random.randint(1, PRODUCTS)
        action = "deleted" if random.random() < 0.03 else "updated"
        value = event(row_id, number=59, action=action, stock_quantity=random.randint(0, 2))
        time = b"T%02d:%02d:%02d+" % (second // 3600, second // 60 % 60, second % 60)
        named = b'"e%d-%d"' % (row_id, random.randint(0, 3))
        value = value.replace(b"T00:00:59+", time).replace(b'"evt_59"', named)
        made.append((b"%d" % row_id, value))
    return made


async def work(kafka: str, directory: Path, settings: dict[str, str]) -> Done:
    done = Done(await Topics.made(kafka), settings)
    names, random = done.topics.names, Random(7)
    for session in range(2):
        state = directory / str(session)  # the second one has to rebuild it from the topic
        with WorkerProcess(kafka, state, {**names.settings, **settings}) as worker:
            worker.wait_until_ready()
            await produce(kafka, events(random, session * 400, 400), names.source)
            await wait_until_done(kafka, names)
            done.counted += wait_until_counted(400, worker)
            worker.terminate()
            log = worker.log()
    assert f"Strategy {settings['DEDUP_STRATEGY']}, {settings['DEDUP_WINDOW_KIND']} window" in log
    return done


@pytest.fixture(scope="module", params=WINDOWS, ids="-".join)
def done(
    kafka: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Done:
    strategy, kind = request.param
    settings = {
        "DEDUP_STRATEGY": strategy,
        "DEDUP_WINDOW": "60",
        "DEDUP_WINDOW_KIND": kind,
        "DEDUP_WINDOW_ENTRIES": "2",
    }
    return asyncio.run(work(kafka, tmp_path_factory.mktemp("strategy"), settings))


def test_verify_finds_nothing_and_statistics_are_what_was_counted(done: Done) -> None:
    assert {"change", "refresh", "duplicate", "tombstone"} <= done.counted.keys()
    assert done.topics.faults(**done.settings) == {}
    assert done.topics.faults() == {}  # the records say what they were made with
    shown = done.json_of("stats")
    assert +Counter(shown["deduplication_stats"]["outcomes"]) == done.counted


def test_tail_shows_the_decisions_that_were_made(done: Done) -> None:
    lines = done.run("tail", "--from-beginning", "--until-end").splitlines()
    by_id = done.settings["DEDUP_STRATEGY"] == "event_id"
    what = "The event id was" if by_id else "The content was"
    assert sum(what in line and "The window is 1 min." in line for line in lines) > 50


def test_inspect_shows_what_is_remembered_and_when_it_was_seen(done: Done) -> None:
    shown = done.json_of("inspect", "1")
    assert 1 <= len(shown["remembered"]) <= 2
    for each in shown["remembered"]:
        assert each["text"].startswith("seen ")
        assert each["text"].endswith(" ago, window 1 min")
        assert not each["inside"]
    printed = done.run("inspect", "1")
    assert f": {len(shown['remembered'])} of 2\n" in printed
    assert shown["remembered"][0]["text"].split(",")[1] + ", which has ended" in printed
