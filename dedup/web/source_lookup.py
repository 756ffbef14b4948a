"""Reads the last event of a row from the source topic if no decision on it is in memory."""

import asyncio
import dataclasses
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from dedup.core.codec import Codec
from dedup.core.codecs import codec_for, with_content_of
from dedup.core.decide import Outcome, Position, ProcessingTime, Rules, decide
from dedup.core.explain import span
from dedup.core.keys import Id
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.core.rows import row_event_id
from dedup.core.state import State
from dedup.kafka.consumer import committed_consumer
from dedup.observability.decision_log import PastDecision
from dedup.settings import Settings
from dedup.streaming.processor import Deduplicator
from dedup.web.decision_results import past_result
from dedup.web.models import PastResult

FOUND_WITHIN_S: Final = 1.2
"""Shorter than the timeout of the worker that asks."""

_UNKNOWN: Final = ProcessingTime(0, "")


async def read_source_record(settings: Settings, partition: int, offset: int) -> Any | None:
    """Read the record at an offset; None if it was deleted or the brokers do not answer in time."""
    tp = TopicPartition(settings.KAFKA_PRODUCT_TOPIC, partition)
    consumer = committed_consumer(settings, max_partition_fetch_bytes=64 * 1024)
    try:
        async with asyncio.timeout(FOUND_WITHIN_S):
            await consumer.start()
            consumer.assign([tp])
            consumer.seek(tp, offset)
            record = await consumer.getone(tp)
    except (KafkaError, TimeoutError):
        return None
    finally:
        await consumer.stop()
    return record if record.offset == offset else None


def result_from_record(
    record: Any, row_id: Id, state: State, deduplicator: Deduplicator
) -> PastResult | None:
    """Return the decision on the last event applied to a state; None if it is of another id.

    The state before the event is lost. An event that emitted nothing left the row unchanged, and
    what it repeats is remembered, so its decision can be recomputed. For an event that wrote the
    row, the changed fields can't.
    """
    at = Position(state.partition, state.offset)
    before = replace(state, offset=state.offset - 1)
    rules = _rules_then(state, deduplicator.rules)
    event = rules.codec.read(record.key, record.value)
    if not isinstance(event, NormalEvent) or event.id != row_id:
        return None
    decision = decide(event, before, at, _UNKNOWN, rules)
    shown = dataclasses.replace(rules, window_us=deduplicator.rules.window_us)
    result = past_result(PastDecision(event, before, decision, at, _UNKNOWN), shown)
    if record.timestamp * 1000 > state.emitted_at:  # it arrived after the last emission
        return _repeats(result, event, shown)
    if state.row is None:
        name = rules.codec.entity.name.replace("_", " ")
        why = f"The last event that was applied deleted the {name}, or repeated its deletion."
        return result.model_copy(update={"outcome": Outcome.TOMBSTONE, "why": why, "emits": True})
    if _wrote(event, state.row, rules.codec):
        why = (
            "This event wrote the row, or repeats the event that wrote it. The state before it is "
            "no longer known."
        )
        update = {"outcome": Outcome.CHANGE, "why": why, "emits": True, "comparisons": []}
        return result.model_copy(update=update)
    return result


def _repeats(result: PastResult, event: NormalEvent, rules: Rules) -> PastResult:
    """Return the result of an event that emitted nothing: the window remembers what it repeats.

    With a sliding window the event itself gave that its time; the one before is lost. Of a worker
    with another strategy nothing is remembered.
    """
    by_id = rules.strategy == "event_id"
    if rules.strategy == "latest" or (event.kind is EventKind.DELETE and not by_id):
        return result
    if result.outcome == Outcome.DUPLICATE and rules.window_kind == "fixed":
        return result
    what = "event id" if by_id else "content"
    why = f"Its {what} was seen before, within the window of {span(rules.window_us)}."
    return result.model_copy(update={"outcome": Outcome.DUPLICATE, "why": why, "emits": False})


def _wrote(event: NormalEvent, row: bytes, codec: Codec) -> bool:
    """Tell whether a row is of this event, by its id, or by its time where events have no id."""
    if "last_event_id" in codec.entity.provenance:
        return row_event_id(row) == codec.event_id(event)
    read = codec.read_row(row)
    return read is not None and read.time == event.time


def _rules_then(state: State, rules: Rules) -> Rules:
    """Return the rules with which the decision on a state's last event can be recomputed.

    The state's fingerprint names the content fields of that time. The event was applied, so under
    any order it was neither stale nor a dead letter. How long ago what it repeats was seen is lost.
    """
    codec = with_content_of(rules.codec, state.fingerprint) or rules.codec
    codec = codec_for(codec.entity, codec.content, codec.unknown_fields, "update")
    return dataclasses.replace(
        rules, codec=codec, order="arrival", window_us=None, largest_row_bytes=None
    )
