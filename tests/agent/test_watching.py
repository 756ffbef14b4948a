"""What is shown of batches afterwards agrees with what was done: log, counts and gauges."""

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest

from dedup.core.decide import EMITTING, Outcome, Position, ProcessingTime, decide
from dedup.core.state import State
from dedup.observability.decision_log import (
    FOLLOWED,
    FOLLOWED_RECORD_BYTES,
    FOLLOWED_RECORDS,
    RECORDS_KEPT,
)
from dedup.observability.rates import SECONDS_KEPT, History
from dedup.state.store import PartitionStore
from dedup.web.source_lookup import result_from_record
from producer.events import EventGenerator, Mix
from tests.agent.conftest import Bench
from tests.support.products import CODEC, CONTENT_FIELDS, rules
from tests.support.records import batch, event, record


def generated(
    number: int, seed: int, products: int = 30
) -> list[tuple[bytes | None, bytes | None]]:
    times = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in itertools.count())
    mix = Mix(products=products, late=0.1, partial=0.1, invalid=0.02)
    events = EventGenerator(seed, lambda: next(times), mix)
    return [(each.key, each.value) for each in itertools.islice(events, number)]


async def feed(
    bench: Bench, events: list[tuple[bytes | None, bytes | None]], seed: int, offset: int = 0
) -> None:
    """Apply the events from an offset on in batches of random sizes."""
    random = Random(seed)
    while offset < len(events):
        size = random.randint(1, 60)
        some = events[offset : offset + size]
        work = batch(*(record(offset + n, value, key) for n, (key, value) in enumerate(some)))
        await bench.app.deduplicator.apply(work)
        offset += len(some)


def living(store: PartitionStore) -> int:
    return sum(state.row is not None for _, state in store.items())


STRATEGIES = [
    {},
    {"DEDUP_WINDOW": "20", "DEDUP_WINDOW_KIND": "sliding"},
    *(
        {"DEDUP_STRATEGY": strategy, "DEDUP_WINDOW": "20", "DEDUP_WINDOW_KIND": kind}
        for strategy in ("distinct", "event_id")
        for kind in ("fixed", "sliding")
    ),
]
with_each_strategy = pytest.mark.parametrize(
    "bench", STRATEGIES, indirect=True, ids=lambda environ: "-".join(environ.values()) or "latest"
)


@with_each_strategy
@pytest.mark.parametrize("seed", range(3))
async def test_the_log_recomputes_every_decision_as_it_was(bench: Bench, seed: int) -> None:
    """Outcomes as they were counted, and the rows as they were published."""
    events = generated(2_000, seed)
    await feed(bench, events, seed)
    outcomes: Counter[str] = Counter()
    rows: dict[int, list[bytes | None]] = {}
    for product_id in range(1, 31):
        for past in bench.app.observers.decision_log.decisions(
            0, product_id, CODEC, bench.app.deduplicator.decide
        ):
            outcomes[past.decision.outcome] += 1
            if past.decision.outcome in EMITTING:
                assert past.decision.state is not None
                rows.setdefault(product_id, []).append(past.decision.state.row)
    published: dict[int, list[bytes | None]] = {}
    for output in bench.publisher.outputs:
        for each in output.states:
            published.setdefault(msgspec.json.decode(each.key or b"")["product_id"], []).append(
                each.value
            )
    assert rows == published
    counted = bench.outcomes()
    del counted["dead_letter"], outcomes["dead_letter"]  # most have no product's key
    assert outcomes == counted


async def test_the_log_is_bounded_and_keeps_the_newest(bench: Bench) -> None:
    for number in range(RECORDS_KEPT // 500 + 3):
        value = event(1, number=1, stock_quantity=number)
        await bench.feed(*[value] * 500, offset=number * 500)
    past = list(
        bench.app.observers.decision_log.decisions(0, 1, CODEC, bench.app.deduplicator.decide)
    )
    assert len(past) == RECORDS_KEPT
    assert past[-1].at.offset == (RECORDS_KEPT // 500 + 3) * 500 - 1


async def test_the_log_is_bounded_in_bytes(bench: Bench) -> None:
    large = event(1, description="x" * 700_000)
    for number in range(40):
        await bench.feed(large, offset=number)
    past = list(
        bench.app.observers.decision_log.decisions(0, 1, CODEC, bench.app.deduplicator.decide)
    )
    assert 20 <= len(past) <= 24


async def test_a_product_that_is_looked_at_keeps_its_decisions_under_load(bench: Bench) -> None:
    """Outcomes and reasons of its last events, long after their batches are forgotten."""
    log, decide = bench.app.observers.decision_log, bench.app.deduplicator.decide
    mine = [
        event(7, number=1, action="created"),
        event(7, number=2, price="2.00"),
        event(7, number=1, price="3.00"),
        event(7, number=2, price="2.00"),
    ]
    others = [event(1, number=1, stock_quantity=number) for number in range(500)]
    offset = 0
    for number, value in enumerate(mine):
        work = [record(offset + n, each) for n, each in enumerate(others)]
        work.append(record(offset + len(work), value, b"7"))
        await bench.app.deduplicator.apply(batch(*work))
        offset += len(work)
        if number == 1:  # somebody looks after two of the four
            log.follow(7)
    before = list(log.decisions(0, 7, CODEC, decide))
    assert [past.decision.outcome for past in before] == ["change", "change", "stale", "duplicate"]
    for _ in range(RECORDS_KEPT // 500 + 1):
        await bench.feed(*others, offset=offset)
        offset += 500
    assert list(log.decisions(0, 7, CODEC, decide)) == before
    assert len(list(log.decisions(0, 1, CODEC, decide))) == RECORDS_KEPT


async def test_what_is_kept_of_products_that_are_looked_at_is_bounded(bench: Bench) -> None:
    """So many products, so many events of each, and no large ones."""
    log, decide = bench.app.observers.decision_log, bench.app.deduplicator.decide
    for product_id in range(1, 2 * FOLLOWED + 1):
        log.follow(product_id)
    offset = 0
    for number in range(2 * FOLLOWED_RECORDS):
        work = [
            record(offset + n, event(n + 1, stock_quantity=number), b"%d" % (n + 1))
            for n in range(2 * FOLLOWED)
        ]
        await bench.app.deduplicator.apply(batch(*work))
        offset += len(work)
    await bench.feed(event(1, description="x" * 700_000), offset=offset)
    large = event(2 * FOLLOWED, description="x" * (FOLLOWED_RECORD_BYTES + 1))
    await bench.app.deduplicator.apply(batch(record(offset + 1, large, b"%d" % (2 * FOLLOWED))))
    offset += 2
    for _ in range(RECORDS_KEPT // 500 + 1):
        await bench.feed(*[event(999)] * 500, key=b"999", offset=offset)
        offset += 500
    kept = {i: len(list(log.decisions(0, i, CODEC, decide))) for i in range(1, 2 * FOLLOWED + 1)}
    assert set(kept.values()) == {0, FOLLOWED_RECORDS}
    assert sorted(i for i, number in kept.items() if number) == [
        *range(FOLLOWED + 1, 2 * FOLLOWED + 1)
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_the_products_are_counted_exactly_while_they_change_and_are_known_after_a_restart(
    bench: Bench, seed: int
) -> None:
    """Counting starts in the midst, and continues in steps between batches."""
    events = generated(2_000, seed, products=200)
    store = bench.table.data.partition(0)
    await feed(bench, events[:500], seed)
    assert store.row_count.rows is None
    for end in range(600, 1_600, 100):
        store.row_count.count_some(7)
        await feed(bench, events[:end], seed, end - 100)
    while store.row_count.rows is None:
        store.row_count.count_some(50)
    counted = store.row_count.rows
    assert counted == living(store)
    await feed(bench, events, seed, 1_500)
    bench.table.data.close_others(())
    store = bench.table.data.partition(0)
    assert store.row_count.rows == living(store) != counted
    assert 0 < living(store) < 200


async def test_field_changes_are_exact_in_small_batches(bench: Bench) -> None:
    before: dict[int, dict[str, object]] = {}
    expected = Counter[str]()
    await feed(bench, generated(1_500, 5), 5)
    for output in bench.publisher.outputs:
        for each in output.states:
            product_id = msgspec.json.decode(each.key or b"")["product_id"]
            row = None if each.value is None else msgspec.json.decode(each.value)
            old = before.pop(product_id, None)
            if row is not None:
                before[product_id] = row
                if old is not None:
                    expected.update(f for f in CONTENT_FIELDS if old[f] != row[f])
    assert min(expected[f] for f in CONTENT_FIELDS if f != "product_name") > 50
    for field in CONTENT_FIELDS:
        assert bench.metric("dedup_field_changes_total", field=field) == expected[field]


@pytest.mark.parametrize("row", [b'"\x82"', b"\xff\xfe", b"[1]", b"{", b'{"price":"\xe9"}'])
async def test_a_known_row_that_can_t_be_read_does_not_stop_the_counting(
    bench: Bench, row: bytes
) -> None:
    """Another program may have written it, with headers like ours, to the output topic."""
    known = State(b"f" * 21, 5, 0, 0, 100, 0, row)
    bench.table.write(0, {1: known}, next_offset=1, now_us=100)
    bench.publisher.appended = 1  # the record is on the topic

    output = await bench.feed(event(1, number=1, price="1.00"), offset=1)

    assert len(output.states) == 1


def test_the_history_counts_by_second_and_forgets() -> None:
    now = 1_000.0
    history = History(lambda: now)
    for second in range(600):
        now = 1_000.0 + second
        history.add({Outcome.CHANGE: 2, Outcome.DUPLICATE: 1})
    now = 1_600.0
    assert history.rates() == (3.0, 2.0)
    intervals = history.intervals(5)
    assert len(intervals) == SECONDS_KEPT // 5
    assert all(each == {Outcome.CHANGE: 10, Outcome.DUPLICATE: 5} for each in intervals)
    assert history.totals[Outcome.CHANGE] == 1_200


async def test_a_past_event_is_explained_by_the_fields_it_was_compared_by(
    bench: Bench,
) -> None:
    """A worker with other DEDUP_CONTENT_FIELDS finds it in Kafka; it emitted nothing then."""
    first, later = event(number=1), event(number=2, stock_quantity=7)
    state = None
    by_price = rules(("price",))
    for offset, value in enumerate((first, later)):
        clock = ProcessingTime(1_700_000_000_000_000, "2023-11-14T22:13:20.000000Z")
        decision = decide(CODEC.read(b"1", value), state, Position(0, offset), clock, by_price)
        state = decision.state
    assert decision.outcome == "duplicate"
    assert state is not None
    assert bench.app.deduplicator.rules.codec.content != by_price.codec.content
    said = result_from_record(record(1, later), 1, state, bench.app.deduplicator)
    assert said is not None
    assert (said.outcome, said.emits) == ("duplicate", False)
    assert "DEDUP_CONTENT_FIELDS leaves out what differs: stock_quantity" in said.why


@pytest.mark.parametrize("bench", STRATEGIES[2:], indirect=True)
async def test_a_past_event_that_repeats_an_older_one_than_the_row_is_explained(
    bench: Bench,
) -> None:
    """A, B, A, of which the last was read from Kafka: the row is B, the window remembers A."""
    by_id = bench.environ["DEDUP_STRATEGY"] == "event_id"
    is_fixed = bench.environ["DEDUP_WINDOW_KIND"] == "fixed"
    repeat = event(number=3, stock_quantity=1).replace(b"evt_3", b"evt_1")
    await bench.feed(event(number=1), event(number=2, stock_quantity=2), repeat)
    assert bench.outcomes() == {"change": 2, "duplicate": 1}
    state = msgspec.structs.replace(bench.table.data.partition(0).read([1])[1], emitted_at=0)

    said = result_from_record(record(2, repeat), 1, state, bench.app.deduplicator)

    assert said is not None
    assert (said.outcome, said.emits) == ("duplicate", False)
    if is_fixed:
        what = "The event id" if by_id else "The content"
        emitted = f"{what} was emitted at 2026-01-01T00:00:01.000000Z, 2 s before."
        assert said.why == f"{emitted} The window is 20 s."
    else:
        what = "event id" if by_id else "content"
        assert said.why == f"Its {what} was seen before, within the window of 20 s."


@pytest.mark.parametrize("bench", STRATEGIES[2:], indirect=True)
async def test_a_past_event_that_emitted_nothing_under_another_strategy_is_a_duplicate(
    bench: Bench,
) -> None:
    """Of its time nothing is remembered, but had it been emitted, it would be the row."""
    state = None
    content = rules(("price",))
    values = event(number=1), event(number=2, stock_quantity=2)
    for offset, value in enumerate(values):
        clock = ProcessingTime(1, "1970-01-01T00:00:00Z")
        read = CODEC.read(b"1", value)
        state = decide(read, state, Position(0, offset), clock, content).state
    assert state is not None
    said = result_from_record(record(1, values[1]), 1, state, bench.app.deduplicator)
    assert said is not None
    assert (said.outcome, said.emits) == ("duplicate", False)
