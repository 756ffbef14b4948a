"""The thread that fetches: whole fetches, together with the positions they start and end at.

It is Faust's consumer thread, with its own loop, so that heartbeats continue during a batch.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, Final, cast

import aiokafka
from aiokafka import TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaConnectionError,
    KafkaError,
    NoError,
    RebalanceInProgressError,
    UnknownMemberIdError,
    for_code,
)
from aiokafka.protocol.group import HeartbeatRequest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import get_logger
from mode.threads import QueueServiceThread

from dedup.kafka.broker_errors import brokers_away
from dedup.kafka.closing import end
from dedup.kafka.consumer import ISOLATION_LEVEL
from dedup.kafka.offsets import stable_offsets
from dedup.kafka.patience import Patience
from dedup.kafka.unread_records import FetchedBatch, take_unread
from dedup.streaming.heartbeats import bound_heartbeats

FETCH_MAX_WAIT_MS: Final = 100
"""How long a broker may hold a fetch that finds nothing; Faust asks for 1,500.

aiokafka has one fetch to a broker in flight. A partition that had unread records when the fetch was
sent is not in it, and starves until the others have something.
"""

logger = get_logger(__name__)


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that fetches. Every method here runs on the thread's own loop but `wake`."""

    _wake: asyncio.Event | None = None

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        # Faust ties it to a `processing_guarantee` of its own, whose transactions are not ours.
        consumer._isolation_level = ISOLATION_LEVEL
        return consumer

    async def on_start(self) -> None:
        """Connect; wait for brokers that went away since the topics were checked."""
        patience = Patience("The consumer", logger)
        self._consumer = self._create_consumer(loop=self.thread_loop)
        self.time_started = monotonic()
        while True:
            try:
                await self._consumer.start()
            except KafkaConnectionError as error:
                await patience.wait(error)
            else:
                bound_heartbeats(self._consumer)
                return patience.over()

    async def on_thread_stop(self) -> None:
        """Leave the group. A rebalance that waits for other members is not waited for."""
        await QueueServiceThread.on_thread_stop(self)  # no call of the main thread is in progress
        if self._consumer is not None:
            if isinstance(self._consumer._coordinator, GroupCoordinator):
                await self._end_coordination(self._consumer)
            await self._consumer.stop()

    async def _end_coordination(self, consumer: aiokafka.AIOKafkaConsumer) -> None:
        """End what joins groups: the client would finish a join, and begin one that is due."""
        coordinator = consumer._coordinator
        await end(coordinator._coordination_task)
        # While a join waits, a broker answers nothing else on its connection.
        connection = (coordinator.coordinator_id, ConnectionGroup.COORDINATION)
        if coordinator._performed_join_prepare and connection in consumer._client._conns:
            consumer._client._conns[connection].close()

    def _stopped_set(self) -> None:
        # After a failure the thread has closed its loop by itself before it is stopped.
        with suppress(RuntimeError):
            super()._stopped_set()

    def wake(self) -> None:
        """End a wait for records early, from any thread: another partition can take some."""
        if self._wake is not None:
            with suppress(RuntimeError):  # the thread has ended, and closed its loop
                self.thread_loop.call_soon_threadsafe(self._wake.set)

    async def fetch(self, tps: set[TP], timeout: float) -> dict[TP, FetchedBatch]:  # noqa: ASYNC109 - not a cancellation, the wait for data
        """Take what is fetched of these partitions; wait up to `timeout` seconds for some."""
        return cast("dict[TP, FetchedBatch]", await self.call_thread(self._fetch, tps, timeout))

    async def _fetch(self, tps: set[TP], timeout: float) -> dict[TP, FetchedBatch]:  # noqa: ASYNC109 - as above
        if self._wake is None:
            self._wake = asyncio.Event()
        fetcher = self._ensure_consumer()._fetcher
        deadline = monotonic() + timeout
        with fetcher._subscriptions.fetch_context():
            while self.consumer.flow_active:
                chunks = await self._take(fetcher, tps)
                left = deadline - monotonic()
                if chunks or left <= 0:
                    return chunks
                arrived = fetcher._create_fetch_waiter()
                woken = asyncio.ensure_future(self._wake.wait())
                await asyncio.wait(
                    (arrived, woken), timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
                woken.cancel()
                if self._wake.is_set():
                    self._wake.clear()
                    break
                if arrived.done():
                    arrived.result()  # raises the fetcher's error, such as a refused topic
        return {}

    async def _take(self, fetcher: Any, tps: set[TP]) -> dict[TP, FetchedBatch]:
        subscriptions = fetcher._subscriptions
        if subscriptions.subscription.assignment is None:
            return {}
        if subscriptions.reassignment_in_progress:
            await subscriptions.wait_for_assignment()
        assignment = subscriptions.subscription.assignment
        return take_unread(
            fetcher,
            {tp for tp in tps & assignment.tps if assignment.state_value(tp).has_valid_position},
        )

    async def rewind(self, tps: set[TP]) -> dict[TP, int]:
        """Seek to the committed offsets, or to the beginning where none is committed.

        Returns the position of each partition. All others are no longer fetched.
        """
        return cast("dict[TP, int]", await self.call_thread(self._rewind, tps))

    async def _rewind(self, tps: set[TP]) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        consumer.pause(*(consumer.assignment() - tps))
        committed = await self._committed(tps)
        for tp, offset in committed.items():
            consumer.seek(tp, offset)
        never_committed = tps - committed.keys()
        if never_committed:
            await consumer.seek_to_beginning(*driver.ensure_aiokafka_TPset(never_committed))
        return {tp: await consumer.position(tp) for tp in tps}

    async def _committed(self, tps: set[TP]) -> dict[TP, int]:
        """Return the committed offsets, after every transaction that the publisher has ended."""
        consumer = self._ensure_consumer()
        found: dict[TP, int] = {}
        for topic in {tp.topic for tp in tps}:
            partitions = [tp.partition for tp in tps if tp.topic == topic]
            group = consumer._coordinator.group_id
            offsets = await stable_offsets(consumer._client, group, topic, partitions)
            found |= {TP(topic, partition): offset for partition, offset in offsets.items()}
        return found

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit; False where it has to be retried, while the brokers or the group change."""
        consumer = self._ensure_consumer()
        assigned = self.assignment()
        # Faust's TP is equal to aiokafka's and no instance of it, which a commit asks for.
        wanted = {TopicPartition(*tp): at for tp, at in offsets.items() if tp in assigned}
        try:
            await consumer.commit(wanted)
        except KafkaError as error:
            if brokers_away(error):
                logger.info(
                    "The offsets %s are not committed yet; retrying: %r", dict(offsets), error
                )
            else:
                await self.crash(error)
            return False
        return True

    async def is_member(self) -> bool:
        """See `BatchConsumer.is_member`."""
        return cast("bool", await self.call_thread(self._is_member))

    async def _is_member(self) -> bool:
        coordinator = self._ensure_consumer()._coordinator
        if coordinator._rejoin_needed_fut.done():
            return False
        heartbeat = HeartbeatRequest(
            coordinator.group_id, coordinator.generation, coordinator.member_id
        )
        response = await coordinator._send_req(heartbeat)
        error = for_code(response.error_code)
        if error in (IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError):
            return False
        if error is not NoError:
            raise error
        return True

    async def without_offsets(self, tps: set[TP]) -> dict[TP, bool]:
        """Return the partitions for which no offset is committed, and whether each has records."""
        return cast("dict[TP, bool]", await self.call_thread(self._without_offsets, tps))

    async def _without_offsets(self, tps: set[TP]) -> dict[TP, bool]:
        consumer = self._ensure_consumer()
        none = list(tps - (await self._committed(tps)).keys())
        first, ends = await consumer.beginning_offsets(none), await consumer.end_offsets(none)
        return {tp: first[tp] < ends[tp] for tp in none}

    async def go_to(self, tp: TP, offset: int) -> None:
        """Seek to an offset of a partition if it is still assigned."""

        async def go() -> None:
            consumer = self._ensure_consumer()
            if tp in consumer.assignment():
                consumer.seek(tp, offset)

        await self.call_thread(go)
