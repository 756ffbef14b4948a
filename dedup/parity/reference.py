"""The reference of the settings in use."""

from dedup.parity.sql import Endpoints, reference_sql
from dedup.settings import Settings


def sql_of(settings: Settings, servers: str | None = None) -> str:
    """Return the reference of the entity and topics of these settings; `servers` replaces theirs.

    Raises FlinkSqlError.
    """
    at = Endpoints(
        servers=servers or settings.KAFKA_BOOTSTRAP_SERVERS,
        source=settings.KAFKA_PRODUCT_TOPIC,
        output=settings.KAFKA_SRC_PRODUCTS_TOPIC,
        group=f"{settings.DEDUP_APP_ID}-flink",
    )
    return reference_sql(settings.entity, settings.DEDUP_CONTENT_FIELDS, at)
