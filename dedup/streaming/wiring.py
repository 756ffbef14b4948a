"""Puts the parts together: `build_app(settings)` gives a Faust app that has not begun anything."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import faust
from faust.types.auth import CredentialsT

from dedup.core.decide import Rules
from dedup.kafka.admin import BrokersAwayError
from dedup.kafka.client import adjust_aiokafka
from dedup.kafka.groups import check_group
from dedup.kafka.patience import Patience
from dedup.kafka.topic_reader import BrokersSilentError
from dedup.kafka.topics import TopicFacts, check_topics, ensure_topics
from dedup.observability.decision_log import DecisionLog
from dedup.observability.gauge_sampler import Gauges
from dedup.observability.logs import logging_config
from dedup.observability.metrics import Metrics
from dedup.observability.rates import History
from dedup.rules import rules_of
from dedup.settings import Settings
from dedup.state.data_directory import Origin
from dedup.state.table import STORE_URL, StateTable
from dedup.streaming.application import DedupApp
from dedup.streaming.dryrun import DryRunPublisher, SeedReader, observe_from_known_states
from dedup.streaming.foreign import ForeignRecords
from dedup.streaming.membership import Membership
from dedup.streaming.output import Publisher
from dedup.streaming.processor import Deduplicator, wall_clock
from dedup.streaming.publisher import MAX_BATCH_BYTES, KafkaPublisher
from dedup.streaming.recordbatch import BatchSchema
from dedup.streaming.recovery import ChangelogReader
from dedup.streaming.rejected import Rejected
from dedup.streaming.shutdown import DedupWorker
from dedup.streaming.table_manager import StateTableManager
from dedup.web import add_pages

TABLE_NAME: Final = "products"
FETCH_BYTES: Final = 1024 * 1024
COMMIT_INTERVAL_S: Final = 1.0

SESSION_TIMEOUT_S: Final = 10.0
"""How long a worker may be silent before its partitions go to another."""

logger = logging.getLogger(__name__)


def build_app(
    settings: Settings,
    *,
    publisher: Publisher | None = None,
    now: Callable[[], datetime] = wall_clock,
) -> DedupApp:
    """Build the app. Nothing is connected, opened or written before it is started.

    `publisher` takes the place of Kafka's for tests; `now` is the clock of processing times.
    """
    adjust_aiokafka()
    production, settings = settings, settings.effective()
    app = DedupApp(settings.DEDUP_APP_ID, **_faust_settings(settings))
    app.settings = settings
    table = _state_table(app, settings)
    app.metrics, app.gauges = Metrics(), Gauges(app, table)
    app.membership, app.foreign = Membership(app), ForeignRecords(app)
    app.trail, app.history = DecisionLog(), History()
    dry_run = settings.DEDUP_DRY_RUN
    app.metrics.dry_run.set(dry_run)
    app.rejected = Rejected(dry_run=dry_run)
    kafka = DryRunPublisher() if dry_run else KafkaPublisher(settings)
    app.publisher_service = kafka
    reader = SeedReader if dry_run else ChangelogReader

    def decide_by(rules: Rules) -> None:
        app.deduplicator = Deduplicator(
            rules,
            table,
            publisher or kafka,
            app.watch,
            key_format=settings.DEDUP_OUTPUT_KEY_FORMAT,
            now=now,
        )
        app.deduplicator.note_written = app.foreign.note_written
        app.changelog_reader = reader(settings, table, rules, app.metrics, now=now)

    decide_by(rules_of(settings))

    async def look_at_topics() -> TopicFacts:
        facts = await (check_topics if dry_run else ensure_topics)(settings)
        await check_group(settings)
        if dry_run:
            await observe_from_known_states(production, settings)
        return facts

    async def prepare() -> None:
        facts = await _patiently(look_at_topics)
        decide_by(rules_of(settings, facts))
        _use(app, settings, facts)

    app.prepare = prepare
    source = app.topic(settings.KAFKA_PRODUCT_TOPIC, schema=BatchSchema(), allow_empty=True)

    @app.agent(source, name="emit_changes", isolated_partitions=True)
    async def emit_changes(batches: faust.StreamT[Any]) -> None:
        """Emit to src_products what changed, dead letters to products.dlq."""
        await app.deduplicate(batches)

    add_pages(app, settings, table)
    return app


async def _patiently(look_at_topics: Callable[[], Awaitable[TopicFacts]]) -> TopicFacts:
    """Look at the topics; once brokers answer, wait for what they can't do yet."""
    patience = Patience("Start", logger)
    while True:
        try:
            facts = await look_at_topics()
        except (BrokersAwayError, BrokersSilentError) as error:
            await patience.wait(error)
        else:
            patience.over()
            return facts


def _use(app: DedupApp, settings: Settings, facts: TopicFacts) -> None:
    source, states = settings.KAFKA_PRODUCT_TOPIC, settings.KAFKA_SRC_PRODUCTS_TOPIC
    if app.data_directory is not None:
        app.data_directory.belong_to(Origin(facts.cluster_id, source, states, facts.partitions))
    app.partitions = facts.partitions
    app.changelog_reader.partitions = facts.partitions
    for warning in facts.warnings:
        logger.warning("%s", warning)
    app.publisher_service.batch_bytes = min(MAX_BATCH_BYTES, facts.states_batch_bytes)
    app.publisher_service.letters_batch_bytes = min(MAX_BATCH_BYTES, facts.letters_batch_bytes)
    app.deduplicator.cut_letters_beyond(facts.letters_batch_bytes)


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
    table = StateTable(app, name=TABLE_NAME, changelog_topic=changelog, help="Known states.")
    app.tables.add(table)
    return table


def _faust_settings(settings: Settings) -> dict[str, Any]:
    servers = settings.KAFKA_BOOTSTRAP_SERVERS.split(",")
    return {
        "broker": [f"kafka://{server.strip()}" for server in servers],
        "broker_credentials": _credentials(settings),
        "broker_commit_interval": COMMIT_INTERVAL_S,
        "broker_session_timeout": SESSION_TIMEOUT_S,
        "broker_heartbeat_interval": SESSION_TIMEOUT_S / 5,
        "broker_rebalance_timeout": 3 * SESSION_TIMEOUT_S,
        "consumer_max_fetch_size": FETCH_BYTES,
        "consumer_auto_offset_reset": "earliest",
        "datadir": settings.DEDUP_DATA_DIR,
        "store": STORE_URL,
        "stream_wait_empty": True,
        "stream_recovery_delay": 0.0,
        "table_standby_replicas": 0,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "topic_partitions": settings.DEDUP_PARTITIONS,
        "TableManager": StateTableManager,
        "Worker": DedupWorker,
        "canonical_url": settings.web_url,
        "web_bind": settings.DEDUP_WEB_HOST,
        "web_host": settings.DEDUP_WEB_HOST,
        "web_port": settings.DEDUP_WEB_PORT,
        "worker_redirect_stdouts": False,
        "logging_config": logging_config(as_json=settings.DEDUP_LOG_FORMAT == "json"),
    }


def _credentials(settings: Settings) -> CredentialsT | None:
    context = settings.ssl_context()
    if settings.KAFKA_SECURITY_PROTOCOL.startswith("SASL") and settings.KAFKA_PASSWORD is not None:
        return faust.SASLCredentials(
            username=settings.KAFKA_USER,
            password=settings.KAFKA_PASSWORD.get_secret_value(),
            mechanism=settings.KAFKA_SASL_MECHANISM,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context=context)
