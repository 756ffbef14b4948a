"""The metrics of the sink, served at `SINK_METRICS_PORT`."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from dedup.core.errors import SettingsError
from dedup.sink.settings import SinkSettings


class SinkMetrics:
    """The metrics of one sink, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rows = Counter(
            "dedup_sink_rows", "Rows written to PostgreSQL.", ["result"], registry=self.registry
        )
        for result in ("upsert", "delete"):
            self.rows.labels(result)
        self.skipped_records = Counter(
            "dedup_sink_skipped_records",
            "Records of the output topic that are not rows of the entity and were skipped.",
            registry=self.registry,
        )
        self.lag_records = Gauge(
            "dedup_sink_lag_records",
            "Committed records of the output topic not yet applied.",
            ["partition"],
            registry=self.registry,
        )
        self.last_applied = Gauge(
            "dedup_sink_last_applied_timestamp_seconds",
            "Time at which everything read was last in the table, in seconds since the epoch.",
            registry=self.registry,
        )
        self.postgres_up = Gauge(
            "dedup_sink_postgres_up",
            "1 if the last operation on PostgreSQL succeeded, 0 during an outage.",
            registry=self.registry,
        )

    @contextmanager
    def served(self, settings: SinkSettings) -> Iterator[None]:
        """Serve `/metrics` from a thread if a port is set. Raises SettingsError."""
        if settings.SINK_METRICS_PORT is None:
            yield
            return
        port, host = settings.SINK_METRICS_PORT, settings.SINK_METRICS_HOST
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            raise SettingsError(
                f"SINK_METRICS_PORT={port} can't be served at SINK_METRICS_HOST={host}: "
                f"{error.strerror}. Set another port or address."
            ) from error
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
