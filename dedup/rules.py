"""The worker's rules, for the worker and for every command that explains its decisions."""

from typing import Final

from dedup.core.codec import Codec
from dedup.core.codecs import codec_for
from dedup.core.decide import DAY_US, Rules
from dedup.core.recogniser import IS_COMPILED
from dedup.kafka.topics import STATE_MAX_BYTES, TopicFacts
from dedup.settings import Settings

BESIDE_THE_ROW_BYTES: Final = 512
"""What a record batch holds besides the row: its header, the key and the headers, rounded up."""


def codec_of(settings: Settings) -> Codec:
    """Return the codec of the entity that these settings name."""
    return codec_for(
        settings.entity,
        settings.DEDUP_CONTENT_FIELDS,
        settings.DEDUP_UNKNOWN_FIELDS,
        settings.DEDUP_UNKNOWN_ACTION,
    )


def rules_of(settings: Settings, topics: TopicFacts | None = None) -> Rules:
    """Return the rules by which a worker with these settings decides on these topics.

    Without topics, they are those for topics that the worker creates: a deletion is remembered for
    24 hours, and a record batch of `src_products` may have 2 MiB.
    """
    refresh_after = settings.DEDUP_REFRESH_AFTER
    batch_bytes = STATE_MAX_BYTES if topics is None else topics.states_batch_bytes
    return Rules(
        codec=codec_of(settings),
        order=settings.DEDUP_ORDER,
        refresh_after_us=None if refresh_after is None else int(refresh_after * 1_000_000),
        deleted_marker_us=DAY_US if topics is None else topics.delete_retention_ms * 1000,
        largest_row_bytes=batch_bytes - BESIDE_THE_ROW_BYTES,
    )


def how_events_are_read(codec: Codec) -> str:
    """Return what reads the events of an entity: their rate depends on it."""
    read = f"Each event is of the entity {codec.entity.name}"
    if not codec.is_fast:
        return f"{read} and is read by pydantic: the model has validators, or unknown fields pass."
    if codec.recogniser == "compiled":
        return f"{read} and is recognised by compiled code."
    if IS_COMPILED:
        return f"{read} and is recognised by Python code, as its envelope has no compiled form."
    return f"{read} and is recognised by Python code: without a C compiler there is no faster one."
