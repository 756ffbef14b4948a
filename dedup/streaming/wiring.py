"""Puts the parts together: `build_app(settings)` returns a Faust app that has not started."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

import faust
from faust.types.auth import CredentialsT

from dedup.kafka.admin import BrokersAwayError
from dedup.kafka.client import adjust_aiokafka
from dedup.kafka.groups import check_group
from dedup.kafka.patience import Patience
from dedup.kafka.topic_reader import BrokersSilentError
from dedup.kafka.topics import TopicFacts, check_topics, ensure_topics
from dedup.observability.logs import logging_config
from dedup.rules import rules_of
from dedup.settings import Settings
from dedup.state.table import STORE_URL
from dedup.streaming.application import DedupApp
from dedup.streaming.dryrun import DryRunPublisher, SeedReader, observe_from_known_states
from dedup.streaming.output import Publisher
from dedup.streaming.parts import Parts
from dedup.streaming.processor import Callbacks, Deduplicator, OutputFormat, wall_clock
from dedup.streaming.publisher import KafkaPublisher
from dedup.streaming.recordbatch import BatchSchema, RecordBatch
from dedup.streaming.recovery import ChangelogReader
from dedup.streaming.shutdown import DedupWorker
from dedup.streaming.table_manager import StateTableManager
from dedup.web import new_web

FETCH_BYTES: Final = 1024 * 1024
COMMIT_INTERVAL_S: Final = 1.0

SESSION_TIMEOUT_S: Final = 10.0
"""How long a worker may be silent before its partitions go to another."""

REQUEST_TIMEOUT_S: Final = 40.0
"""How long a request of the consumer may take; one to join the group takes as long as a rebalance.

Faust's own is 90 s, in which the partitions of a broker whose host is down are not read.
"""

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

    app = DedupApp(
        settings,
        look_at_topics=partial(_patiently, partial(_look_at_topics, settings, production)),
        build_parts=partial(_build_parts, publisher=publisher, now=now),
        new_web=new_web,
        **_faust_settings(settings),
    )
    source = app.topic(settings.KAFKA_PRODUCT_TOPIC, schema=BatchSchema(), allow_empty=True)

    @app.agent(source, name="emit_changes", isolated_partitions=True)
    async def emit_changes(batches: faust.StreamT[RecordBatch]) -> None:
        """Emit to src_products what changed, dead letters to products.dlq."""
        await app.deduplicator.run(batches)

    return app


def _build_parts(
    app: DedupApp,
    facts: TopicFacts,
    *,
    publisher: Publisher | None,
    now: Callable[[], datetime],
) -> Parts:
    """Build what decides, publishes and recovers, for these topics."""
    settings, rules = app.settings, rules_of(app.settings, facts)
    reader = SeedReader if settings.DEDUP_DRY_RUN else ChangelogReader
    kafka = DryRunPublisher() if settings.DEDUP_DRY_RUN else _kafka_publisher(app, facts)
    deduplicator = Deduplicator(
        rules,
        app.table,
        publisher or kafka,
        Callbacks(app.observers.observe, app.foreign.note_written, app.on_fenced, app.fail),
        output_format=OutputFormat(settings.DEDUP_OUTPUT_KEY_FORMAT, facts.letters_batch_bytes),
        now=now,
    )
    changelog_reader = reader(
        settings, app.table, rules, app.metrics, partitions=facts.partitions, now=now
    )
    return Parts(facts.partitions, rules, kafka, deduplicator, changelog_reader)


def _kafka_publisher(app: DedupApp, facts: TopicFacts) -> KafkaPublisher:
    return KafkaPublisher(
        app.settings,
        is_member=app.is_member,
        states_batch_bytes=facts.states_batch_bytes,
        dead_letters_batch_bytes=facts.letters_batch_bytes,
    )


async def _look_at_topics(settings: Settings, production: Settings) -> TopicFacts:
    """Create or check the topics, and check the group. Raises TopicError, ReadError."""
    facts = await (check_topics if settings.DEDUP_DRY_RUN else ensure_topics)(settings)
    await check_group(settings)
    if settings.DEDUP_DRY_RUN:
        await observe_from_known_states(production, settings)
    return facts


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


def _faust_settings(settings: Settings) -> dict[str, Any]:
    servers = settings.KAFKA_BOOTSTRAP_SERVERS.split(",")
    return {
        "broker": [f"kafka://{server.strip()}" for server in servers],
        "broker_credentials": _credentials(settings),
        "broker_commit_interval": COMMIT_INTERVAL_S,
        "broker_request_timeout": REQUEST_TIMEOUT_S,
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
