"""What the strategies remember is on the topic, or follows from the source, on a real broker."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from dedup.core.window import Strategy, WindowKind
from dedup.demo.example import LATEST, Choice
from producer.example import oracle_of
from producer.live import sent_at
from tests.chaos.plan import products_in_chaos
from tests.support.states import different_states, expected_states, states_on_disk
from tests.support.topics import emissions, judge, produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess

Sent = list[tuple[bytes | None, bytes | None]]

PRODUCTS = 200
HALF = 4_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
APART = timedelta(milliseconds=3)
WINDOW_S = 3
"""A fifth of the time of all events: windows end before and after what is done between halves."""

every_kind = pytest.mark.parametrize("kind", ["fixed", "sliding"])
both_strategies = pytest.mark.parametrize("strategy", ["distinct", "event_id"])


def halves() -> tuple[Sent, Sent]:
    times = (BEGIN + number * APART for number in range(4 * HALF))
    events = products_in_chaos(LATEST).generate(3, PRODUCTS, times.__next__)
    sent: Sent = [(event.key, event.value) for event in islice(events, 2 * HALF)]
    return sent[:HALF], sent[HALF:]


def event(product_id: int, content: str, second: int, event_id: str) -> tuple[bytes, bytes]:
    time = (BEGIN + timedelta(seconds=second)).isoformat()
    value = (
        f'{{"event_id":"{event_id}","action":"updated","timestamp":"{time}","product":'
        f'{{"product_id":{product_id},"product_name":"{content}","price":"1.00"}}}}'
    )
    return b"%d" % product_id, value.encode()


@contextmanager
def worker(kafka: str, names: Names, directory: Path, choice: Choice) -> Iterator[WorkerProcess]:
    """A worker that has recovered."""
    settings = {**names.settings, **choice.settings}
    with WorkerProcess(kafka, directory, settings) as process:
        process.wait_until_ready()
        yield process


async def assert_exact(kafka: str, names: Names, choice: Choice, *data_dirs: Path) -> None:
    """The output is that of the oracle, and the states are those of its model."""
    source = await read_topic(kafka, names.source)
    expected = judge(source, products_in_chaos(choice)).emitted
    assert emissions(await read_topic(kafka, names.states)) == {
        i: e for i, e in expected.items() if e
    }
    found = states_on_disk(data_dirs, choice)
    assert different_states(expected_states(source, choice), found) == []


@both_strategies
@every_kind
async def test_a_wiped_disk_between_two_halves_changes_nothing(
    kafka: str, tmp_path: Path, strategy: Strategy, kind: WindowKind
) -> None:
    names, data = Names.fresh(), tmp_path / "data"
    choice = Choice(strategy, WINDOW_S, kind, window_entries=6)
    for half in halves():
        shutil.rmtree(data, ignore_errors=True)
        with worker(kafka, names, data, choice) as process:
            await produce(kafka, half, names.source)
            await wait_until_done(kafka, names)
            assert process.terminate() == 0
    await assert_exact(kafka, names, choice, data)


@both_strategies
async def test_a_partition_that_moves_to_an_empty_disk_takes_its_windows_along(
    kafka: str, tmp_path: Path, strategy: Strategy
) -> None:
    names, choice = Names.fresh(), Choice(strategy, WINDOW_S, "sliding")
    first_half, second_half = halves()
    first, second = tmp_path / "first", tmp_path / "second"
    with worker(kafka, names, first, choice) as leaving:
        await produce(kafka, first_half, names.source)
        await wait_until_done(kafka, names)
        with worker(kafka, names, second, choice) as staying:
            assert leaving.terminate() == 0
            await produce(kafka, second_half, names.source)
            await wait_until_done(kafka, names)
            assert staying.terminate() == 0
    await assert_exact(kafka, names, choice, second)


@both_strategies
@every_kind
async def test_a_sliding_window_that_only_duplicates_extended_survives_a_wiped_disk(
    kafka: str, tmp_path: Path, strategy: Strategy, kind: WindowKind
) -> None:
    """No record tells of them: they are decided on again from the source."""
    names, data, choice = Names.fresh(), tmp_path / "data", Choice(strategy, 10, kind)
    ids = range(1, 41)
    for seconds in ((0, 8), (16,)):
        shutil.rmtree(data, ignore_errors=True)
        with worker(kafka, names, data, choice) as process:
            sent: Sent = [event(i, "A", second, "e") for second in seconds for i in ids]
            await produce(kafka, sent, names.source)
            await wait_until_done(kafka, names)
            assert process.terminate() == 0
    times = 1 if kind == "sliding" else 2
    assert emissions(await read_topic(kafka, names.states)) == {i: ["e"] * times for i in ids}
    await assert_exact(kafka, names, choice, data)


PROBE = (("A", "e1"), ("B", "e2"), ("A", "e3"), ("A", "e3"), ("A", "e4"))
EMITTED = {
    "latest": ["e1", "e2", "e3"],
    "distinct": ["e1", "e2"],
    "event_id": ["e1", "e2", "e3", "e4"],
}
"""Of the probe, by strategy."""


def once_more(sent: Sent, second: int) -> Sent:
    """The events that made the last row of each product, with a time after all others."""
    oracle, by_id = oracle_of(LATEST), {}
    for key, value in sent:
        if oracle.judge(key, value) == "change":
            by_id[key, oracle.emitted[int(key or b"")][-1]] = value
    last = {b"%d" % i: ids[-1] for i, ids in oracle.emitted.items() if ids and ids[-1]}
    time = (BEGIN + timedelta(seconds=second)).isoformat()
    return [(key, sent_at(by_id[key, event_id] or b"", time)) for key, event_id in last.items()]


@pytest.mark.parametrize("wiped", [False, True], ids=["disk kept", "disk wiped"])
async def test_a_changed_strategy_starts_from_the_records_and_emits_nothing_again(
    kafka: str, tmp_path: Path, wiped: bool
) -> None:
    """First every event byte by byte, then the last of each product with its id and a new time."""
    names, data = Names.fresh(), tmp_path / "data"
    sent, _ = halves()
    with worker(kafka, names, data, LATEST) as process:
        await produce(kafka, sent, names.source)
        await wait_until_done(kafka, names)
        assert process.terminate() == 0
    before = emissions(await read_topic(kafka, names.states))
    assert sum(map(len, before.values())) > HALF / 2
    choices = (Choice("distinct", 600), Choice("event_id", 600), LATEST, Choice("event_id", 600))
    for number, choice in enumerate(choices):
        if wiped:
            shutil.rmtree(data)
        probe = PRODUCTS + 1 + number
        asked: Sent = [event(probe, *said[:1], n, said[1]) for n, said in enumerate(PROBE)]
        with worker(kafka, names, data, choice) as process:
            await produce(kafka, [*sent, *once_more(sent, 60 + number), *asked], names.source)
            await wait_until_done(kafka, names)
            assert process.terminate() == 0
        found = emissions(await read_topic(kafka, names.states))
        assert found.pop(probe) == EMITTED[choice.strategy]
        assert {i: found[i] for i in before} == before
