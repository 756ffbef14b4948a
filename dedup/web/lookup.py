"""Looks one event up on the source topic, for a product whose decisions are not remembered."""

import asyncio
import dataclasses
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from dedup.core.decide import Outcome, Position, ProcessingTime, Rules, decide
from dedup.core.event import Event
from dedup.core.fingerprint import scheme_of
from dedup.core.read import read_event
from dedup.core.state import State
from dedup.kafka.consumer import committed_consumer
from dedup.observability.decision_log import PastDecision
from dedup.settings import Settings
from dedup.streaming.processor import Deduplicator
from dedup.web.models import PastResult
from dedup.web.verdicts import past_verdict

FOUND_WITHIN_S: Final = 1.2
"""Less than another worker waits for the answer."""

_UNKNOWN: Final = ProcessingTime(0, "")


async def read_source_record(settings: Settings, partition: int, offset: int) -> Any | None:
    """Read the record at an offset; None if it is gone or the brokers do not give it in time."""
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


def verdict_from_record(
    record: Any, product_id: int, state: State, deduplicator: Deduplicator
) -> PastResult | None:
    """Tell what became of the event that a state names as its last; None if it is another's.

    What was known before it is gone. An event that emitted nothing left the content as it was, so
    the decision can still be told; of one that wrote the row, no difference can be.
    """
    event = read_event(record.key, record.value)
    if not isinstance(event, Event) or event.product_id != product_id:
        return None
    at = Position(state.partition, state.offset)
    before = replace(state, offset=state.offset - 1)
    rules = _rules_then(state, deduplicator.rules)
    decision = decide(event, before, at, _UNKNOWN, rules)
    told = past_verdict(PastDecision(event, before, decision, at, _UNKNOWN), rules)
    if record.timestamp * 1000 > state.emitted_at:
        return told  # it came after the last emission
    if state.row is None:
        why = "The last event that was applied deleted the product, or repeated its deletion."
        return told.model_copy(update={"outcome": Outcome.TOMBSTONE, "why": why, "emits": True})
    if msgspec.json.decode(state.row)["last_event_id"] == event.event_id:
        why = "This event wrote the row, or repeats the one that did; what was known is forgotten."
        update = {"outcome": Outcome.CHANGE, "why": why, "emits": True, "comparisons": []}
        return told.model_copy(update=update)
    return told


def _rules_then(state: State, rules: Rules) -> Rules:
    """Return the rules by which the event that a state names as its last can be told.

    The state's fingerprint has the content fields of then. Whatever the order was, the event was
    applied, so it was not stale; and it was no dead letter.
    """
    scheme = scheme_of(state.fingerprint) or rules.scheme
    applied = dataclasses.replace(rules, scheme=scheme, order="arrival", refresh_after_us=None)
    return dataclasses.replace(applied, unknown_actions="update", largest_row_bytes=None)
