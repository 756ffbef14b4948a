"""The Faust app of this project: its transport, its services, and how it stops after a failure.

Faust's extension points are used for all of it: `_new_transport`, the `TableManager` and `Worker`
settings, and the services an app starts with.
"""

import asyncio
import platform
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final, cast

import faust
from aiokafka.errors import KafkaError
from faust.types.transports import ConsumerT, TransportT
from faust.web.base import Web
from mode import Service, ServiceT, get_logger

from dedup import __version__
from dedup.core.errors import ExplainedError
from dedup.kafka.broker_errors import refusal
from dedup.kafka.settings import redacted
from dedup.kafka.topics import TopicFacts
from dedup.observability.decision_log import DecisionLog
from dedup.observability.gauge_sampler import Gauges
from dedup.observability.metrics import Metrics
from dedup.observability.observers import Observers
from dedup.observability.rates import History
from dedup.observability.rejected import Rejected
from dedup.rules import codec_of, how_events_are_read, rules_of, what_duplicates_are
from dedup.settings import Settings
from dedup.state.data_directory import DataDirectory, Origin
from dedup.state.store_errors import StoreError
from dedup.state.table import StateTable
from dedup.streaming.batch_transport import BatchConsumer, BatchTransport
from dedup.streaming.flushing import Flushing
from dedup.streaming.foreign import ForeignRecords
from dedup.streaming.interpreter import Interpreter
from dedup.streaming.membership import Membership
from dedup.streaming.output import FencedError
from dedup.streaming.parts import Parts
from dedup.streaming.processor import Deduplicator
from dedup.streaming.watchdog import Watchdog

FINISH_WITHIN_S: Final = 10.0
"""How long the batches in progress may take when the worker is asked to stop."""

logger = get_logger(__name__)


class WorkerError(ExplainedError):
    """The worker can't continue; the text names the cause and the cure, for its operator."""


class DedupApp(faust.App):
    """A Faust app that reads in batches, recovers in batches and stops rather than lose a change.

    `dedup.streaming.wiring.build_app` builds one.
    """

    failure: BaseException | None = None
    data_directory: DataDirectory | None = None
    _parts: Parts | None = None

    def __init__(
        self,
        settings: Settings,
        *,
        look_at_topics: Callable[[], Awaitable[TopicFacts]],
        build_parts: Callable[["DedupApp", TopicFacts], Parts],
        new_web: Callable[["DedupApp"], Web],
        **faust_settings: Any,
    ) -> None:
        """Take the settings, what is to be done at the start, and Faust's own settings.

        `look_at_topics` raises ExplainedError to refuse the topics. `build_parts` is called once,
        with what it returned, before anything is read.
        """
        super().__init__(settings.DEDUP_APP_ID, **faust_settings)
        self.settings = settings
        self._look_at_topics = look_at_topics
        self._build_parts = build_parts
        self._web_of = new_web
        self.table = _state_table(self, settings)
        self.metrics = metrics = Metrics(rules_of(settings))
        metrics.dry_run.set(settings.DEDUP_DRY_RUN)
        self.observers = Observers(
            metrics,
            Gauges(settings, metrics, self.table, in_recovery=lambda: self.in_recovery),
            DecisionLog(),
            History(),
            Rejected(metrics, dry_run=settings.DEDUP_DRY_RUN),
        )
        self.membership = Membership(self)
        self.watchdog = Watchdog(self)
        self.foreign = ForeignRecords(settings, metrics)

    @property
    def parts(self) -> Parts:
        """What depends on the topics; not before these are known."""
        if self._parts is None:
            raise AssertionError("the topics are not known yet")
        return self._parts

    @property
    def partitions(self) -> int:
        """Partitions of the source topic when the worker started; 0 before it knows."""
        return 0 if self._parts is None else self._parts.partitions

    @property
    def deduplicator(self) -> Deduplicator:
        """The processor of batches."""
        return self.parts.deduplicator

    async def prepare(self) -> None:
        """Look at the topics and build what depends on them. Raises ExplainedError."""
        facts, settings = await self._look_at_topics(), self.settings
        if self.data_directory is not None:
            source, states = settings.KAFKA_PRODUCT_TOPIC, settings.KAFKA_SRC_PRODUCTS_TOPIC
            name = settings.entity.name
            origin = Origin(facts.cluster_id, source, states, facts.partitions, name)
            self.data_directory.belong_to(origin)
        for warning in facts.warnings:
            logger.warning("%s", warning)
        self.assemble(facts)

    def assemble(self, facts: TopicFacts) -> None:
        """Build the parts for these topics. Called once, before anything is read."""
        if self._parts is not None:
            raise AssertionError("the parts are built once")
        self._parts = self._build_parts(self, facts)

    def _new_web(self) -> Web:
        return self._web_of(self)

    def _new_transport(self) -> TransportT:
        return BatchTransport(self.conf.broker_consumer, self)

    def _new_consumer(self) -> ConsumerT:
        return self.transport.create_consumer(
            callback=self.topics.on_message,
            on_partitions_revoked=self._on_partitions_revoked,
            on_partitions_assigned=self._on_partitions_assigned,
            beacon=self.beacon,
            commits=not self.parts.publisher.commits_offsets,
            on_refused=self._on_refused,
        )

    async def is_member(self) -> bool:
        """Return whether the group still regards this worker as the owner of its partitions.

        Raises KafkaError when the group can't be asked.
        """
        return await cast("BatchConsumer", self.consumer).is_member()

    def on_init_dependencies(self) -> Iterable[ServiceT]:
        """Return no service: they are added once the topics are known."""
        return ()

    def worker_services(self) -> Iterable[ServiceT]:
        """Return what to start, in order: the publisher before the consumer, and stopped after."""
        services = super().on_init_dependencies()
        if self.client_only or self.producer_only:
            return services
        # Faust's producer is not used, and ends a worker whose brokers go away while it connects.
        return [
            self.parts.publisher,
            *(each for each in services if each is not self.producer),
            self.observers.gauges,
            self.membership,
            self.foreign,
            Flushing(self.table, self.fail),
            Interpreter(),
            self.watchdog,
        ]

    async def on_first_start(self) -> None:
        """Log what starts; check the data directory and the topics before anything is read."""
        logger.info("product-dedup %s, Python %s", __version__, platform.python_version())
        logger.info("%s", how_events_are_read(codec_of(self.settings)))
        for line in what_duplicates_are(rules_of(self.settings)):
            logger.info("%s", line)
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
        for service in self.worker_services():
            self.add_dependency(service)

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
                "The batches in progress took more than %.0f s: the next owner processes them.",
                FINISH_WITHIN_S,
            )
        if self._consumer is not None:
            # What is not done stays so: to wait for it or to commit past it would be wrong.
            self._consumer.stop_flow()
            self.flow_control.suspend()
            await self._stop_fetcher()
        return None

    def _on_rebalance_when_stopped(self) -> None:
        """Leave the client to its own thread, which stops it.

        Faust closes it from this one: what then waits in that thread, such as for metadata, waits
        forever, and the worker with it.
        """

    def fail(self, error: BaseException) -> None:
        """Stop the worker: log why, exit with 1. Nothing undone is committed."""
        if self.failure is not None:
            return
        self.failure = error
        expected = isinstance(error, ExplainedError)
        logger.critical("%s", explanation(error), exc_info=None if expected else error)
        root = self.beacon.root
        cast("Service", root.data if root is not None else self)._crash(error)

    def _on_refused(self, error: KafkaError) -> None:
        """Stop: the brokers refuse to let the source be read."""
        why = refusal(error, self.settings, permission="READ")
        self.fail(WorkerError(f"{self.settings.KAFKA_PRODUCT_TOPIC} can't be read: {why}"))

    def on_fenced(self, error: FencedError) -> None:
        """Wait for the rebalance that moved the partition; stop if none follows."""
        logger.warning("%s", error)
        if not self.rebalancing:
            self.add_future(self._expect_rebalance(error))

    async def _expect_rebalance(self, error: FencedError) -> None:
        """Stop the worker if it stays the owner of a partition that was acquired elsewhere."""
        rebalance = self.rebalancing_count
        fault = WorkerError(
            f"{error} No rebalance followed: something outside the group {self.conf.id} uses its "
            "transactional ids. Give it another DEDUP_APP_ID."
        )
        while self.rebalancing_count == rebalance and self.failure is None:
            await self.sleep(self.conf.broker_session_timeout + self.conf.broker_rebalance_timeout)
            with suppress(KafkaError):  # the brokers are away; they may answer later
                if await self.is_member() and self.rebalancing_count == rebalance:
                    self.fail(fault)


def _state_table(app: DedupApp, settings: Settings) -> StateTable:
    changelog = app.topic(
        settings.KAFKA_SRC_PRODUCTS_TOPIC,
        key_serializer="raw",
        value_serializer="raw",
        partitions=settings.DEDUP_PARTITIONS,
        compacting=True,
        acks=False,
        allow_empty=True,
    )
    table = StateTable(
        app,
        entity=settings.entity,
        name=settings.entity.plural,
        changelog_topic=changelog,
        help="Known states.",
    )
    app.tables.add(table)
    return table


def explanation(error: BaseException) -> str:
    """Return what went wrong, for the operator."""
    if isinstance(error, KafkaError):
        return f"Kafka refused: {error!r}. The worker stops; restart it once that is fixed."
    return str(error) or repr(error)
