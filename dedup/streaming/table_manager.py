"""What follows a rebalance: partitions are acquired, states recovered, then the streams resume.

It replaces Faust's recovery, through the `TableManager` setting.
"""

import asyncio
from collections.abc import Collection
from typing import Any, Final, cast

from aiokafka.errors import (
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    UnknownTopicOrPartitionError,
)
from faust.tables.manager import TableManager
from faust.types import TP, AppT
from mode import Service, get_logger

from dedup.kafka.broker_errors import brokers_away
from dedup.kafka.diagnosis import diagnose
from dedup.kafka.patience import GIVE_UP_AFTER_S, Patience
from dedup.kafka.topics import missing_topics
from dedup.state.data_directory import grown
from dedup.streaming.application import DedupApp, WorkerError, explanation
from dedup.streaming.batch_transport import BatchConsumer
from dedup.streaming.rereading import look_back

SEEK_WITHIN_S: Final = 30.0
"""How long the group may take to return the committed offsets."""

logger = get_logger(__name__)


class Recovery(Service):
    """Runs the changelog reader after each rebalance, then resumes the streams.

    A rebalance during a recovery restarts it.
    """

    def __init__(self, app: DedupApp, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app = app
        self.completed = asyncio.Event()
        self._requested = asyncio.Event()

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Note that a rebalance started."""
        self.completed.clear()

    async def on_rebalance(self, *_args: Any, **_kwargs: Any) -> None:
        """Note that a rebalance ended: what is assigned now has to be recovered."""
        self.app.metrics.rebalances.inc()
        self._requested.set()

    @Service.task
    async def _recover_after_each_rebalance(self) -> None:
        while not self.should_stop:
            if await self.wait_for_stopped(cast("Any", self._requested)):
                return
            self._requested.clear()
            recovering = asyncio.ensure_future(self._recover_patiently())
            again = asyncio.ensure_future(self._requested.wait())
            stopped = asyncio.ensure_future(self._stopped.wait())
            waited_for = recovering, again, stopped
            try:
                done, _ = await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
            finally:  # also when the worker stops
                for task in waited_for:
                    task.cancel()
                await asyncio.wait((recovering,))
            if recovering.cancelled():
                if recovering in done:  # not by us: a task of a client was, and it awaited that
                    logger.info("The recovery was cut short; it starts again.")
                    self._requested.set()
            elif (error := recovering.exception()) is not None:
                self.app.fail(error)
                return

    async def _recover_patiently(self) -> None:
        """Recover; while brokers are away, wait for them and retry."""
        patience = Patience("Recovery", logger, give_up_after_s=GIVE_UP_AFTER_S)
        while True:
            try:
                await self._recover()
            except KafkaError as error:
                if not brokers_away(error):
                    raise
                try:
                    await patience.wait(error)
                except KafkaError:
                    settings = self.app.settings
                    topics = [settings.KAFKA_SRC_PRODUCTS_TOPIC, settings.KAFKA_PRODUCT_TOPIC]
                    found = await diagnose(settings, topics)
                    raise WorkerError(
                        f"The partitions could not be acquired for {GIVE_UP_AFTER_S:.0f} s: "
                        f"{found or explanation(error)}"
                    ) from error
            else:
                return patience.over()

    async def _recover(self) -> None:
        app = self.app
        rebalance = app.rebalancing_count
        app.in_recovery = True
        await self._refuse_another_source()
        changelogs = app.tables.changelog_topics
        actives = {tp for tp in app.assignor.assigned_actives() if tp.topic in changelogs}
        partitions = sorted(tp.partition for tp in actives)
        logger.info(
            "Assigned partitions of %s: %s", app.settings.KAFKA_PRODUCT_TOPIC, partitions or "none"
        )
        await app.deduplicator.acquire(partitions)
        await app.parts.changelog_reader.restore(partitions)
        app.foreign.expect(app.parts.changelog_reader.next_offsets(partitions))
        await self._recognise_dead_letters(partitions)
        await app.on_rebalance_complete.send()
        for table in app.tables.values():
            await table.on_recovery_completed(actives, set())
        try:
            async with asyncio.timeout(SEEK_WITHIN_S):
                await app.consumer.perform_seek()
        except IllegalStateError:
            return  # a partition went away meanwhile: another rebalance is on its way
        except TimeoutError as error:
            raise KafkaTimeoutError(f"no committed offsets in {SEEK_WITHIN_S:.0f} s") from error
        if app.rebalancing_count == rebalance:
            self._resume()

    async def _recognise_dead_letters(self, partitions: Collection[int]) -> None:
        """Find the dead letters on their topic, where no offset is committed."""
        app = self.app
        tps = {TP(app.settings.KAFKA_PRODUCT_TOPIC, partition) for partition in partitions}
        without = await cast("BatchConsumer", app.consumer).without_offsets(tps)
        written = await look_back(
            app.settings,
            {tp.partition: has_records for tp, has_records in without.items()},
            app.parts.changelog_reader.knows_any,
        )
        app.deduplicator.skip_dead_letters(written)

    async def _refuse_another_source(self) -> None:
        """Raise WorkerError if the source topic grew or is gone: nothing may be decided any more.

        Faust would continue with the partitions of the changelog alone, or with none where other
        brokers answer at the same address, and wait silently. Raises KafkaError where the topic is
        there and not assigned yet.
        """
        app, source = self.app, self.app.settings.KAFKA_PRODUCT_TOPIC
        assigned = app.consumer.assignment()
        partitions = [tp.partition for tp in assigned if tp.topic == source]
        if partitions and max(partitions) >= app.partitions:
            raise WorkerError(grown(source, app.partitions, max(partitions) + 1))
        if not partitions and source in await missing_topics(app.settings):
            raise WorkerError(
                f"{source} is gone from {app.settings.KAFKA_BOOTSTRAP_SERVERS}: it was deleted, or "
                "these are other brokers. Restart the worker when the topic exists: it is read "
                "from its beginning."
            )
        if assigned and not partitions:  # the broker that the group's leader asked did not know it
            raise UnknownTopicOrPartitionError(source)

    def _resume(self) -> None:
        """Resume the streams. Nothing is awaited: no rebalance can come between."""
        app = self.app
        app.in_recovery = False
        self.completed.set()
        app.flow_control.resume()
        app.consumer.resume_flow()
        self.add_future(app._fetcher.maybe_start())
        tables = cast("StateTableManager", app.tables)
        tables.on_actives_ready()
        tables.on_standbys_ready()
        app.on_rebalance_end()
        self.log.info("Worker ready")


class StateTableManager(TableManager):
    """Faust's table manager with the recovery above."""

    app: DedupApp

    def __init__(self, app: AppT, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self._own_recovery: Recovery | None = None

    @property
    def recovery(self) -> Any:
        """The recovery service."""
        if self._own_recovery is None:
            self._own_recovery = self._recovery = cast(
                "Any", Recovery(self.app, beacon=self.beacon, loop=self.loop)
            )
        return self._own_recovery
