"""The reference of the settings in use."""

from typing import Any, Final

from dedup.parity.columns import FlinkSqlError
from dedup.parity.decisions import Rule
from dedup.parity.sql import Endpoints, reference_sql
from dedup.settings import Settings

_ONLY: Final[dict[str, Any]] = {
    "DEDUP_ORDER": "event_time",
    "DEDUP_UNKNOWN_ACTION": "update",
    "DEDUP_REFRESH_AFTER": None,
}
"""The settings that change the rules, each with the one value whose rule the SQL has."""


def sql_of(settings: Settings, servers: str | None = None) -> str:
    """Return the reference of the entity and topics of these settings; `servers` replaces theirs.

    Raises FlinkSqlError.
    """
    for name, known in _ONLY.items():
        if getattr(settings, name) != known:
            expected = "unset" if known is None else known
            raise FlinkSqlError(f"{name}: the Flink SQL has no such rule; it knows {expected} only")
    window = settings.DEDUP_WINDOW
    rule = Rule(settings.DEDUP_STRATEGY, window, settings.DEDUP_WINDOW_KIND)
    if window is not None and (rule.strategy, rule.kind) == ("latest", "fixed"):
        raise FlinkSqlError(
            "DEDUP_WINDOW: the Flink SQL has no such rule for DEDUP_STRATEGY=latest, whose fixed "
            "window is by the clock; it knows DEDUP_WINDOW_KIND=sliding only"
        )
    at = Endpoints(
        servers=servers or settings.KAFKA_BOOTSTRAP_SERVERS,
        source=settings.KAFKA_PRODUCT_TOPIC,
        output=settings.KAFKA_SRC_PRODUCTS_TOPIC,
        group=f"{settings.DEDUP_APP_ID}-flink",
    )
    return reference_sql(settings.entity, settings.DEDUP_CONTENT_FIELDS, at, rule)
