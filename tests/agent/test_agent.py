import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from dedup.core.decide import DAY_US
from dedup.streaming.output import FencedError, PublishError
from dedup.streaming.recordbatch import RecordBatch
from tests.agent.conftest import Bench
from tests.support.polling import settled, until
from tests.support.records import TP0, batch, event, record


async def test_the_agent_emits_what_changed_and_nothing_else(bench: Bench) -> None:
    output = await bench.feed(
        event(number=1), event(number=2), event(number=3, price="11.00"), event(number=2)
    )

    assert [json.loads(r.value or b"")["last_event_id"] for r in output.states] == [
        "evt_1",
        "evt_3",
    ]
    assert bench.outcomes() == {"change": 2, "duplicate": 1, "stale": 1}


async def test_the_agent_runs_in_faust_and_marks_its_batch_done(bench: Bench) -> None:
    agent = next(iter(bench.app.agents.values()))
    work = batch(record(0, event(number=1)))
    done = asyncio.Event()
    work.on_done = done.set

    async with agent.test_context(isolated_partitions=False) as running:
        await running.put(work, wait=False)
        await asyncio.wait_for(done.wait(), 60)

    assert len(bench.publisher.outputs[0].states) == 1


async def test_an_output_that_is_not_durable_is_neither_remembered_nor_done(bench: Bench) -> None:
    """Design rule: RocksDB never holds what is not on the topic."""
    bench.publisher.error = PublishError("the broker is gone")
    work = batch(record(0, event(number=1)))

    with pytest.raises(PublishError):
        await bench.app.deduplicator.apply(work)

    assert not work.done
    assert bench.table.read(0, [1]) == {}
    assert bench.outcomes() == {}


async def test_after_an_error_the_agent_stops_the_worker_and_takes_no_other_batch(
    bench: Bench,
) -> None:
    """Going on would apply later events of the partition without the earlier ones."""
    agent = next(iter(bench.app.agents.values()))
    bench.publisher.error = PublishError("the broker is gone")
    first, second = batch(record(0, event(number=1))), batch(record(1, event(number=2)))

    async with agent.test_context(isolated_partitions=False) as running:
        await running.put(first, wait=False)
        await until(lambda: bench.app.failure is not None)
        bench.publisher.error = None
        await running.put(second, wait=False)
        await settled()

    assert isinstance(bench.app.failure, PublishError)
    assert [output.source_offset for output in bench.publisher.tried] == [1]
    assert not first.done
    assert not second.done
    assert bench.publisher.outputs == []


async def test_a_batch_in_work_is_finished_though_its_actor_is_cancelled(bench: Bench) -> None:
    """Else its records could reach the topic after recovery has read to the end."""
    acknowledged = asyncio.Event()
    bench.publisher.acknowledged = acknowledged
    work = batch(record(0, event(number=1)))

    async def batches() -> AsyncIterator[RecordBatch]:
        yield work

    actor = asyncio.ensure_future(bench.app.deduplicator.run(batches()))
    await until(lambda: bench.publisher.tried)
    actor.cancel()
    acquiring = asyncio.ensure_future(bench.app.deduplicator.acquire([0, 2]))
    await settled()
    assert actor.cancelled()
    assert not acquiring.done()
    acknowledged.set()
    await asyncio.wait_for(acquiring, 60)

    assert work.done
    assert 1 in bench.table.read(0, [1])
    assert bench.publisher.owned == [0, 2]
    assert bench.app.failure is None


async def test_a_batch_read_again_after_a_crash_emits_nothing(bench: Bench) -> None:
    values = [event(number=1), event(number=2, price="11.00"), event(number=3, price="10.00")]
    await bench.feed(*values)
    again = await bench.feed(*values)

    assert again.states == []
    assert bench.outcomes() == {"change": 3, "replayed": 3}


async def test_dead_letters_keep_their_bytes_and_say_why(bench: Bench) -> None:
    junk = b"\x00\xff not json"
    output = await bench.feed(junk, None, event(number=1), key=b"2")

    letters = output.dead_letters
    assert [(r.key, r.value) for r in letters] == [(b"2", junk), (b"2", event(number=1))]
    headers = dict(letters[1].headers)
    assert headers["dedup.errors.reason"] == b"key_mismatch"
    assert headers["__streams.errors.offset"] == b"2"
    assert headers["trace"] == b"abc"


async def test_a_deleted_product_leaves_a_tombstone_and_comes_back_with_a_new_row(
    bench: Bench,
) -> None:
    output = await bench.feed(
        event(number=1),
        event(number=5, action="deleted"),
        event(number=4, price="99.00"),
        event(number=6, action="created"),
    )

    assert [r.value is None for r in output.states] == [False, True, False]
    assert bench.outcomes() == {"change": 2, "tombstone": 1, "stale": 1}


async def test_a_deleted_marker_is_forgotten_when_the_topic_forgets_its_tombstone(
    bench: Bench,
) -> None:
    await bench.feed(event(number=1), event(number=5, action="deleted"))
    bench.clock.move(microseconds=DAY_US + 1)
    await bench.feed(event(number=4), offset=2)

    assert bench.outcomes() == {"change": 2, "tombstone": 1}


async def test_markers_of_products_deleted_long_ago_go_from_the_disk(bench: Bench) -> None:
    await bench.feed(event(number=1), event(number=5, action="deleted"))
    assert 1 in bench.table.read(0, [1])
    bench.clock.move(microseconds=DAY_US + 1)
    await bench.feed(event(2, number=6), key=b"2", offset=2)

    assert bench.table.read(0, [1]) == {}


@pytest.mark.parametrize("bench", [{"DEDUP_REFRESH_AFTER": "60"}], indirect=True)
async def test_an_unchanged_state_is_emitted_again_when_its_emission_is_old(bench: Bench) -> None:
    await bench.feed(event(number=1))
    bench.clock.move(seconds=59)
    await bench.feed(event(number=2), offset=1)
    bench.clock.move(seconds=1)
    await bench.feed(event(number=3), offset=2)

    assert bench.outcomes() == {"change": 1, "duplicate": 1, "refresh": 1}


@pytest.mark.parametrize("bench", [{"DEDUP_ORDER": "arrival"}], indirect=True)
async def test_in_arrival_order_a_late_event_is_a_change(bench: Bench) -> None:
    await bench.feed(event(number=5), event(number=1, price="11.00"))

    assert bench.outcomes() == {"change": 2}


@pytest.mark.parametrize("bench", [{"DEDUP_CONTENT_FIELDS": "price"}], indirect=True)
async def test_only_the_chosen_content_fields_make_a_change(bench: Bench) -> None:
    await bench.feed(event(number=1), event(number=2, stock_quantity=9), event(number=3, price="1"))

    assert bench.outcomes() == {"change": 2, "duplicate": 1}


@pytest.mark.parametrize("bench", [{"DEDUP_OUTPUT_KEY_FORMAT": "plain"}], indirect=True)
async def test_the_key_format_is_configurable(bench: Bench) -> None:
    output = await bench.feed(event(number=1))

    assert output.states[0].key == b"1"


async def test_the_state_remembers_duplicates_and_the_newest_time(bench: Bench) -> None:
    await bench.feed(event(number=1), event(number=7))
    await bench.feed(event(number=3, price="11.00"), offset=2)

    state = bench.table.read(TP0.partition, [1])[1]
    assert (state.duplicates, state.offset) == (1, 1)
    assert bench.outcomes() == {"change": 1, "duplicate": 1, "stale": 1}


async def test_a_fenced_batch_is_left_undone_and_the_worker_goes_on(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Another worker owns the partition: it does the batch; this one waits for the rebalance."""
    agent = next(iter(bench.app.agents.values()))
    fenced, later = batch(record(0, event(number=1))), batch(record(1, event(2), b"2"))
    bench.publisher.error = FencedError("partition 0 was taken over")

    async with agent.test_context(isolated_partitions=False) as running:
        await running.put(fenced, wait=False)
        await until(lambda: "partition 0 was taken over" in caplog.text)
        assert bench.table.read(0, [1]) == {}
        bench.publisher.error = None
        await running.put(later, wait=False)
        await until(lambda: later.done)

    assert not fenced.done
    assert bench.app.failure is None
    assert 1 not in bench.table.read(0, [1, 2])
    assert [output.source_offset for output in bench.publisher.outputs] == [2]


@pytest.mark.parametrize("bench", [{"DEDUP_UNKNOWN_ACTION": "dead_letter"}], indirect=True)
async def test_an_unknown_action_is_a_dead_letter_where_that_is_configured(bench: Bench) -> None:
    output = await bench.feed(event(number=1), event(number=2, action="restocked"))

    assert len(output.states) == 1
    assert dict(output.dead_letters[0].headers)["dedup.errors.reason"] == b"unknown_action"
    assert bench.outcomes() == {"change": 1, "dead_letter": 1}
