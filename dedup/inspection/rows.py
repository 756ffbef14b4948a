"""The records of `src_products` as they are written."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

from dedup.core.printable import printable
from dedup.inspection.headers import shown_headers
from dedup.kafka.topic_reader import open_topic
from dedup.settings import Settings


async def rows(
    settings: Settings, *, from_beginning: bool, until_end: bool, ready: Callable[[], None]
) -> AsyncGenerator[Any, None]:
    """Return the records from now on, or all that are on the topic too. Raises ReadError."""
    topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
    async with open_topic(settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
        ready()
        spans = output.spans
        starts = {p: span.start if from_beginning else span.stop for p, span in spans.items()}
        rest = {p: range(starts[p], span.stop) for p, span in spans.items()}
        async for _, records in output.read(rest) if until_end else output.follow(starts):
            for record in records:
                yield record


def row_line(record: Any) -> str:
    """Return key and value of a record separated by a tab, as Kafka's console consumer does."""
    return f"{_text(record.key)}\t{_text(record.value)}"


def row_json(record: Any) -> dict[str, Any]:
    """Return what `dedup tail --rows --json` prints of a record."""
    return {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp,
        "key": None if record.key is None else printable(record.key),
        "value": None if record.value is None else printable(record.value),
        "headers": shown_headers(record.headers),
    }


def _text(data: bytes | None) -> str:
    return "null" if data is None else printable(data)
