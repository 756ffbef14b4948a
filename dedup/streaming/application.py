"""The Faust app of this project: its transport, its services, and how it ends when it can't go on.

Faust's extension points are used for all of it: `_new_transport`, the `TableManager` and `Worker`
settings, and the services an app starts with.
"""

import asyncio
import os
import platform
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final, cast

import faust
from aiokafka.errors import KafkaError
from faust.types.transports import ConsumerT, TransportT
from mode import Service, ServiceT, get_logger

from dedup import __version__
from dedup.core.errors import ExplainedError
from dedup.kafka.broker_errors import refusal
from dedup.observability.decision_log import DecisionLog
from dedup.observability.gauge_sampler import Gauges
from dedup.observability.metrics import Metrics
from dedup.observability.rates import History
from dedup.settings import Settings, redacted
from dedup.state.data_directory import DataDirectory
from dedup.state.store_errors import StoreError
from dedup.streaming.applied import AppliedBatch
from dedup.streaming.batch_transport import BatchConsumer, BatchTransport
from dedup.streaming.dryrun import DryRunPublisher
from dedup.streaming.foreign import ForeignRecords
from dedup.streaming.gc_policy import GarbageCollection
from dedup.streaming.membership import Membership
from dedup.streaming.output import FencedError
from dedup.streaming.processor import Deduplicator
from dedup.streaming.publisher import KafkaPublisher
from dedup.streaming.recordbatch import RecordBatch
from dedup.streaming.recovery import ChangelogReader
from dedup.streaming.rejected import Rejected

FINISH_WITHIN_S: Final = 10.0
"""How long the batches in work may take when the worker is asked to stop."""

logger = get_logger(__name__)


class WorkerError(ExplainedError):
    """The worker can't go on; the text names the thing and the cure, for whoever operates it."""


class DedupApp(faust.App):
    """A Faust app that reads in batches, recovers in batches and stops rather than lose a change.

    `wiring.build_app` makes one and sets the parts below.
    """

    deduplicator: Deduplicator
    changelog_reader: ChangelogReader
    metrics: Metrics
    gauges: Gauges
    membership: Membership
    foreign: ForeignRecords
    trail: DecisionLog
    history: History
    rejected: Rejected
    prepare: Callable[[], Awaitable[None]]
    """Called once before anything starts; raises WorkerError to refuse."""

    publisher_service: KafkaPublisher | DryRunPublisher
    settings: Settings
    partitions: int = 0
    """Partitions of the source topic when the worker started; 0 before it knows."""

    data_directory: DataDirectory | None = None
    failure: BaseException | None = None

    def _new_transport(self) -> TransportT:
        return BatchTransport(self.conf.broker_consumer, self)

    def _new_consumer(self) -> ConsumerT:
        consumer = cast("BatchConsumer", super()._new_consumer())
        consumer.commits = not self.publisher_service.commits_offsets
        consumer.on_refused = self._on_refused
        if isinstance(self.publisher_service, KafkaPublisher):
            self.publisher_service.is_member = consumer.is_member
        return consumer

    def on_init_dependencies(self) -> Iterable[ServiceT]:
        """Start the publisher before the consumer, and stop it after."""
        if self.client_only or self.producer_only:
            return super().on_init_dependencies()
        others = super().on_init_dependencies()
        return [
            self.publisher_service,
            *others,
            self.gauges,
            self.membership,
            self.foreign,
            GarbageCollection(),
        ]

    async def on_first_start(self) -> None:
        """Say what starts; check topics and settings before anything is read."""
        logger.info("product-dedup %s, Python %s", __version__, platform.python_version())
        values = redacted(self.settings).items()
        logger.info("Settings: %s", " ".join(f"{name}={v}" for name, v in values if v is not None))
        try:
            self.conf.datadir.parent.mkdir(parents=True, exist_ok=True)
            self._create_directories()
            directory = DataDirectory(self.conf.datadir, self.conf.tabledir)
            directory.lock()
        except OSError as error:
            self.fail(
                WorkerError(
                    f"DEDUP_DATA_DIR={self.conf.datadir} can't be written: {error}. Set it to a "
                    "directory the worker may write."
                )
            )
            return
        except StoreError as error:
            self.fail(error)
            return
        self.data_directory = directory
        try:
            await self.prepare()
        except ExplainedError as error:
            self.fail(error)
            return

    async def on_shutdown(self) -> None:
        """Let another worker into the data directory."""
        await super().on_shutdown()
        if self.data_directory is not None:
            self.data_directory.unlock()

    async def _stop_consumer(self) -> None:
        if self.failure is None:
            finishing = asyncio.ensure_future(super()._stop_consumer())
            done, _ = await asyncio.wait((finishing,), timeout=FINISH_WITHIN_S)
            if done:
                return finishing.result()
            logger.warning(  # such as while the brokers are away
                "The batches in work are not done in %.0f s: the next owner does them.",
                FINISH_WITHIN_S,
            )
            # The client waits for its coordinator to let it go, however long that takes.
            ending = threading.Timer(FINISH_WITHIN_S, os._exit, (0,))
            ending.daemon = True
            ending.start()
        if self._consumer is not None:
            # What is undone stays undone: waiting for it or committing past it would be wrong.
            self._consumer.stop_flow()
            self.flow_control.suspend()
            await self._stop_fetcher()
        return None

    def fail(self, error: BaseException) -> None:
        """Stop the worker with one sentence and a non-zero exit. Commits nothing undone."""
        if self.failure is not None:
            return
        self.failure = error
        expected = isinstance(error, ExplainedError)
        logger.critical("%s", sentence(error), exc_info=None if expected else error)
        root = self.beacon.root
        cast("Service", root.data if root is not None else self)._crash(error)

    def watch(self, applied: AppliedBatch) -> None:
        """Note a batch that is done, for metrics and pages."""
        self.metrics.count(applied)
        self.gauges.note(applied)
        self.trail.keep(applied)
        self.history.add(applied.outcomes)
        self.rejected.note(applied)

    async def deduplicate(self, batches: faust.StreamT[RecordBatch]) -> None:
        """Run the agent: apply every batch, or stop the worker."""
        try:
            await self.deduplicator.run(batches, self._on_fenced)
        except Exception as error:  # noqa: BLE001 - whatever it is, going on would skip a batch
            self.fail(error)
            await asyncio.Event().wait()  # take no other batch; the worker is stopping

    def _on_refused(self, error: KafkaError) -> None:
        """Stop: the brokers do not let the events be read."""
        why = refusal(error, self.settings, permission="READ")
        self.fail(WorkerError(f"{self.settings.KAFKA_PRODUCT_TOPIC} can't be read: {why}"))

    def _on_fenced(self, error: FencedError) -> None:
        """Wait for the rebalance that took the partition; stop if there was none."""
        logger.warning("%s", error)
        if not self.rebalancing:
            self.add_future(self._expect_rebalance(error))

    async def _expect_rebalance(self, error: FencedError) -> None:
        """Stop the worker if it stays the owner of what somebody else has taken over."""
        rebalance = self.rebalancing_count
        consumer = cast("BatchConsumer", self.consumer)
        fault = WorkerError(
            f"{error} No rebalance followed: something outside the group {self.conf.id} uses its "
            "transactional ids. Give it another DEDUP_APP_ID."
        )
        while self.rebalancing_count == rebalance and self.failure is None:
            await self.sleep(self.conf.broker_session_timeout + self.conf.broker_rebalance_timeout)
            with suppress(KafkaError):  # the brokers are away; they may tell later
                if await consumer.is_member() and self.rebalancing_count == rebalance:
                    self.fail(fault)


def sentence(error: BaseException) -> str:
    """Say in one sentence what went wrong."""
    if isinstance(error, KafkaError):
        return f"Kafka refused: {error!r}. The worker stops; start it again once that is mended."
    return str(error) or repr(error)
