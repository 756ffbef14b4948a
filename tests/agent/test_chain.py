"""The transport's promises, with the fetching thread replaced by one that gives chosen chunks."""

import asyncio

import pytest
from faust.types import TP

from dedup.kafka.unread_records import FetchedBatch
from dedup.streaming.batch_transport import MAX_UNDONE
from dedup.streaming.recordbatch import GROWS_BELOW_BYTES, GROWS_BELOW_RECORDS, RecordBatch
from tests.agent.conftest import Bench
from tests.agent.transport import TP1, Rig, chunk
from tests.support.records import TP0, record


async def test_a_fetch_becomes_one_message_with_the_whole_batch(rig: Rig) -> None:
    ((tp, message),) = await rig.get({TP0: chunk(0, 3)})

    assert tp == TP0
    assert message.offset == 2
    assert isinstance(message.value, RecordBatch)
    assert [r.offset for r in message.value.records] == [0, 1, 2]
    assert message.value.next_offset == 3


async def test_changelog_partitions_are_never_fetched(rig: Rig) -> None:
    await rig.get({})

    assert rig.thread.asked == [{TP0, TP1}]


async def test_a_dropped_chunk_is_read_again_and_nothing_after_it_is_delivered(rig: Rig) -> None:
    """faust-streaming issue 606: what a seek swallowed must not be committed past."""
    await rig.batch(TP0, chunk(0, 3))

    assert await rig.get({TP0: chunk(5, 8)}) == []
    assert rig.thread.gone_to == [(TP0, 3)]
    again = await rig.batch(TP0, chunk(3, 8))
    assert again.next_offset == 8


async def test_a_chunk_delivered_already_is_not_delivered_twice(rig: Rig) -> None:
    await rig.batch(TP0, chunk(0, 3))

    assert await rig.get({TP0: chunk(0, 3)}) == []
    assert rig.thread.gone_to == [(TP0, 3)]


async def test_a_recreated_topic_is_read_from_its_beginning(rig: Rig) -> None:
    """The client goes there by itself; going back to an offset beyond the end would never end."""
    await rig.batch(TP0, chunk(0, 30))
    rig.thread.ends[TP0] = 2

    again = await rig.batch(TP0, chunk(0, 2))
    assert again.next_offset == 2
    assert rig.thread.gone_to == []


async def test_one_partition_s_loss_does_not_hold_up_another(rig: Rig) -> None:
    found = await rig.get({TP0: chunk(4, 5), TP1: chunk(0, 2)})

    assert [tp for tp, _ in found] == [TP1]


async def test_a_true_hole_in_the_log_is_no_loss(rig: Rig) -> None:
    """Compaction and transaction markers leave offsets without records."""
    first = await rig.batch(TP0, chunk(0, 10, 4, 5))
    second = await rig.batch(TP0, chunk(10, 12))

    assert (first.next_offset, second.next_offset) == (10, 12)
    assert rig.thread.gone_to == []


async def test_a_chunk_of_transaction_markers_only_is_committed_once_it_is_done(rig: Rig) -> None:
    """It goes through the agent: with exactly_once, that is what commits its offset."""
    empty = await rig.batch(TP0, FetchedBatch([], 0, 2, 0))
    assert empty.records == []
    assert rig.committable(TP0) is None
    empty.mark_done()
    assert rig.committable(TP0) == 2


async def test_transaction_markers_behind_records_belong_to_the_batch_of_these(rig: Rig) -> None:
    ((_, message),) = await rig.get({TP0: chunk(0, 2)})
    assert await rig.get({TP0: FetchedBatch([], 2, 5, 0)}) == []
    growing = message.value
    assert isinstance(growing, RecordBatch)
    assert ([r.offset for r in growing.records], growing.next_offset) == ([0, 1], 5)


async def test_records_deleted_by_retention_are_reported_and_passed(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading them again would never end: they are gone."""
    rig.thread.earliest[TP0] = 7
    passed = await rig.batch(TP0, chunk(7, 9))

    assert passed.next_offset == 9
    assert "7 records from offset 0 were deleted by the topic's retention" in caplog.text


async def test_a_chunk_of_another_generation_is_not_delivered(bench: Bench, rig: Rig) -> None:
    fetch = rig.thread.fetch

    async def fetch_while_flow_stops(tps: set[TP], wait_s: float) -> dict[TP, FetchedBatch]:
        found = await fetch(tps, wait_s)
        rig.consumer.stop_flow()
        bench.app.consumer_generation_id += 1
        return found

    rig.thread.fetch = fetch_while_flow_stops  # type: ignore[method-assign]
    assert await rig.get({TP0: chunk(0, 3)}) == []


async def test_a_generation_that_changes_between_two_deliveries_ends_the_round(
    bench: Bench, rig: Rig
) -> None:
    rig.thread.chunks.append({TP0: chunk(0, 1), TP1: chunk(0, 1)})
    delivered = []
    async for tp, _ in rig.consumer.getmany(timeout=0.01):
        delivered.append(tp)
        bench.app.consumer_generation_id += 1

    assert delivered == [TP0]


async def test_what_is_fetched_while_the_agent_works_is_one_batch(rig: Rig) -> None:
    """In batches of their own, each fetch would wait for the transactions of those before it."""
    await rig.batch(TP0, chunk(0, 3))
    ((_, message),) = await rig.get({TP0: chunk(3, 5)})
    assert await rig.get({TP0: chunk(5, 9)}) == []
    growing = message.value
    assert isinstance(growing, RecordBatch)

    assert [record.offset for record in growing.records] == [3, 4, 5, 6, 7, 8]
    assert growing.next_offset == 9
    growing.begin()
    await rig.get({})
    assert rig.thread.asked[-1] == {TP1}


async def test_a_batch_stops_growing_before_it_is_large(rig: Rig) -> None:
    large = FetchedBatch([record(0, b"x" * GROWS_BELOW_BYTES)], 0, 1, GROWS_BELOW_BYTES)
    await rig.get({TP0: large})

    assert len(await rig.get({TP0: chunk(1, 2)})) == 1


async def test_a_batch_of_deletes_stops_growing_too(rig: Rig) -> None:
    """They have no value to be measured by; while a transaction waits for brokers, more come."""
    deletes = [record(offset, None) for offset in range(GROWS_BELOW_RECORDS)]
    await rig.get({TP0: FetchedBatch(deletes, 0, GROWS_BELOW_RECORDS, 0)})

    more = chunk(GROWS_BELOW_RECORDS, GROWS_BELOW_RECORDS + 1)
    assert len(await rig.get({TP0: more})) == 1


async def test_a_partition_with_enough_undone_batches_is_not_fetched(rig: Rig) -> None:
    batches = [await rig.batch(TP0, chunk(i, i + 1)) for i in range(MAX_UNDONE)]
    await rig.get({})
    assert rig.thread.asked[-1] == {TP1}

    batches[0].mark_done()
    await rig.get({})
    assert rig.thread.asked[-1] == {TP0, TP1}


async def test_a_partition_that_has_room_again_is_not_held_up_by_idle_ones(rig: Rig) -> None:
    """The fetch under way waits for records of the others alone, up to a second."""
    batches = [await rig.batch(TP0, chunk(i, i + 1)) for i in range(MAX_UNDONE)]
    await rig.get({})

    batches[0].mark_done()
    assert rig.thread.woken == 1
    await rig.get({})
    batches[1].mark_done()
    assert rig.thread.woken == 1


async def test_the_wait_for_room_is_one_wait_though_done_batches_are_uncommitted(rig: Rig) -> None:
    """Done batches would end the wait at once, and the worker would spin until the commit."""
    done = await rig.batch(TP0, chunk(0, 3))
    done.mark_done()
    for start in range(3, 3 + 3 * MAX_UNDONE, 3):
        await rig.batch(TP0, chunk(start, start + 3))
    waiting = asyncio.ensure_future(rig.consumer._wait_for_room(timeout=60))
    for _ in range(20):
        await asyncio.sleep(0)

    assert not waiting.done()
    waiting.cancel()
