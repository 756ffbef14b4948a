"""What is committed, and where reading continues, through losses and rebalances."""

import asyncio
import weakref
from itertools import pairwise
from random import Random
from time import monotonic

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from dedup.streaming.batch_transport import BatchConsumer
from dedup.streaming.recordbatch import RecordBatch
from tests.agent.conftest import Bench
from tests.agent.transport import CHANGELOG, TP1, Log, Rig, chunk, rig_of
from tests.support.records import TP0


async def test_only_the_done_prefix_is_committed(rig: Rig) -> None:
    first = await rig.batch(TP0, chunk(0, 3))
    second = await rig.batch(TP0, chunk(3, 5))

    second.mark_done()
    assert rig.committable(TP0) is None
    first.mark_done()
    assert rig.committable(TP0) == 5
    assert rig.committable(TP0) is None


async def test_letting_go_of_a_message_does_not_make_its_batch_done(rig: Rig) -> None:
    """Faust acknowledges a message even when the agent raised on it."""
    ((_, message),) = await rig.get({TP0: chunk(0, 3)})
    message.ack(rig.consumer)

    assert rig.committable(TP0) is None


async def test_a_batch_can_be_done_after_the_fetching_thread_has_ended(bench: Bench) -> None:
    bench.app.finalize()
    consumer = bench.app.consumer
    assert isinstance(consumer, BatchConsumer)
    thread = consumer._thread
    thread._wake = asyncio.Event()
    thread.thread_loop.close()

    consumer._batch_done(TP0)


async def test_what_faust_notes_of_each_message_is_let_go_of_at_the_commit(rig: Rig) -> None:
    """Its own commit would: two entries for each batch, for ever."""
    await rig.batch(TP0, chunk(0, 3))
    rig.consumer._acked[TP0].append(2)  # as Faust's stream does before the next message
    rig.consumer._acked_index[TP0].add(2)

    rig.committable(TP0)

    assert not rig.consumer._acked[TP0]
    assert not rig.consumer._acked_index[TP0]


async def test_batches_that_are_done_let_their_records_go_before_the_commit(rig: Rig) -> None:
    batches = []
    for start in range(0, 30, 3):
        batch = await rig.batch(TP0, chunk(start, start + 3))
        batch.mark_done()
        batches.append(weakref.ref(batch))
    del batch

    assert sum(each() is not None for each in batches) <= 2
    assert rig.committable(TP0) == 30


async def test_after_a_rebalance_what_was_not_done_comes_again_from_the_commit(rig: Rig) -> None:
    """Batches queued when partitions are revoked are forgotten; it continues at the commit."""
    done = await rig.batch(TP0, chunk(0, 3))
    done.mark_done()
    rig.thread.committed = {TP0: rig.committable(TP0)}
    await rig.batch(TP0, chunk(3, 6))

    await rig.consumer.perform_seek()

    again = await rig.batch(TP0, chunk(3, 6))
    again.mark_done()
    assert rig.committable(TP0) == 6


async def test_what_was_fetched_and_not_delivered_is_read_again_though_nothing_follows_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The brokers fail while the gap of one partition is looked into, before the other's turn."""

    async def away(*_tps: TP) -> dict[TP, int]:
        raise KafkaConnectionError

    with monkeypatch.context() as brokers:
        brokers.setattr(rig.thread, "earliest_offsets", away)
        assert await rig.get({TP0: chunk(5, 8), TP1: chunk(0, 3)}) == []

    assert rig.thread.gone_to == [(TP0, 0), (TP1, 0)]
    assert (await rig.batch(TP1, chunk(0, 3))).next_offset == 3


async def test_while_revoked_nothing_is_delivered_though_batches_are_queued(rig: Rig) -> None:
    await rig.batch(TP0, chunk(0, 3))
    revoked: list[set[TP]] = []

    async def revoke(tps: set[TP]) -> None:
        revoked.append(tps)
        assert await rig.get({TP0: chunk(3, 6)}) == []

    rig.consumer._on_partitions_revoked = revoke
    await rig.consumer.on_partitions_revoked({TP0, TP1, CHANGELOG})

    assert revoked
    assert rig.committable(TP0) is None


async def test_where_nothing_is_committed_reading_begins_where_the_log_begins(rig: Rig) -> None:
    rig.thread.rewind = _from_the_beginning  # type: ignore[method-assign]
    await rig.consumer.perform_seek()

    assert (await rig.batch(TP0, chunk(40, 42))).next_offset == 42


async def _from_the_beginning(tps: set[TP]) -> dict[TP, int]:
    return dict.fromkeys(tps, 40)


async def test_a_batch_that_is_not_done_for_very_long_is_reported(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing else is: not that Faust has committed nothing, nor that the topic has more."""
    patience = rig.consumer.app.conf.stream_processing_timeout
    rig.consumer.verify_event_path(monotonic() + 10 * patience, TP0)
    batch = await rig.batch(TP0, chunk(0, 3))
    rig.consumer.verify_event_path(monotonic() + patience - 10, TP0)
    assert caplog.messages == []
    rig.consumer.verify_event_path(monotonic() + patience, TP0)
    (message,) = caplog.messages
    assert (
        "products-0: the batch before offset 3 has been in progress for more than 300 s" in message
    )
    batch.mark_done()
    rig.consumer.verify_event_path(monotonic() + 10 * patience, TP0)
    assert len(caplog.messages) == 1


REBALANCES = 5
"""Of each walk: after the last one, a commit that failed has to be done again."""


class Walk:
    """A consumer that is driven at random; notes which offsets were done, in which order."""

    def __init__(self, random: Random, consumer: BatchConsumer, log: Log) -> None:
        self.consumer, self.log = consumer, log
        self.done: dict[TP, list[int]] = {tp: [] for tp in log.ends}
        self.rebalances = 0
        self._random = random
        self._delivered: list[RecordBatch] = []

    async def step(self) -> None:
        steps = [self.fetch, self.work, self.commit, self.rebalance]
        await self._random.choices(steps, [8, 10, 3, self.rebalances < REBALANCES])[0]()

    async def fetch(self) -> None:
        fetched = self.consumer.getmany(timeout=0.001)
        async for _, message in fetched:
            assert isinstance(message.value, RecordBatch)
            self._delivered.append(message.value)

    async def work(self) -> None:
        """Begin or finish the next batch of a partition."""
        if self._delivered:
            tp = self._random.choice(self._delivered).tp
            batch = next(each for each in self._delivered if each.tp == tp)
            if batch.grows:
                batch.begin()
            else:
                self._delivered.remove(batch)
                self.done[tp] += [each.offset for each in batch.records]
                batch.mark_done()

    async def commit(self) -> None:
        for tp in self.done:
            offset = self.consumer._new_offset(tp)
            if offset is not None:
                await self.consumer._commit({tp: offset})

    async def rebalance(self) -> None:
        self.rebalances += 1
        self._delivered.clear()
        await self.consumer.perform_seek()


@pytest.mark.parametrize("bench", [{"DEDUP_GUARANTEE": "at_least_once"}], indirect=True)
@pytest.mark.parametrize("seed", range(20))
async def test_whatever_is_lost_every_offset_is_done_in_order_and_no_commit_is_ahead_of_it(
    bench: Bench, seed: int
) -> None:
    """Fetches are lost, commits fail, and rebalances drop what is delivered and not done."""
    random, end = Random(seed), 60
    log = Log(random, end)
    bench.app.finalize()
    consumer = bench.app.consumer
    assert isinstance(consumer, BatchConsumer)
    await rig_of(consumer, log)
    walk = Walk(random, consumer, log)

    for _ in range(5_000):
        await walk.step()
        for tp, offset in log.committed.items():
            assert set(range(offset)) <= set(walk.done[tp])
        if log.committed == log.ends:
            break

    assert log.committed == log.ends
    assert log.lost
    assert walk.rebalances
    for offsets in walk.done.values():
        assert all(b <= a + 1 for a, b in pairwise([-1, *offsets])), "an offset was passed over"
