"""Decides on dead letters as if they were re-submitted now; sends nothing."""

import time
from collections.abc import Collection
from typing import NamedTuple

from dedup.core.decide import Rules
from dedup.core.keys import Id
from dedup.dlq.correction import Correction
from dedup.dlq.replay import Resubmission
from dedup.dlq.selection import Found, Selection, positions_to_skip, resubmissions
from dedup.inspection.decided_events import DecidedEvent, decide_records
from dedup.inspection.resolver import DecisionResolver
from dedup.inspection.states import StatesInMemory, state_of_record
from dedup.kafka.topic_reader import open_topic
from dedup.kafka.topics import check_topics
from dedup.rules import rules_of
from dedup.settings import Settings


class _Record(NamedTuple):
    """The record of `products` that a re-submitted event would be."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class DryRunResult(NamedTuple):
    """An event that was not sent, and the decision on it."""

    event: Resubmission
    decided: DecidedEvent


async def dry_run(
    settings: Settings, selection: Selection, found: Found, correction: Correction
) -> list[DryRunResult]:
    """Return the worker's decisions on dead letters if they were re-submitted now, in order.

    The known states are those on `src_products`. Raises ReadError and TopicError.
    """
    now_ms = time.time_ns() // 1_000_000
    skipped = await positions_to_skip(settings, selection, found)
    rules = rules_of(settings, await check_topics(settings))
    resolver = DecisionResolver(rules)
    keys = rules.codec.keys
    rows = {
        (event.partition, None if event.key is None else keys.read(event.key))
        async for event in resubmissions(settings, selection, found, correction, skipped)
    }
    states = await _known_states(settings, rows, rules)
    source = settings.KAFKA_PRODUCT_TOPIC
    async with open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as topic:
        ends = {partition: span.stop for partition, span in topic.spans.items()}
    results = []
    async for event in resubmissions(settings, selection, found, correction, skipped):
        record = _Record(ends[event.partition], now_ms, event.key, event.value)
        ends[event.partition] += 1
        (decided,) = decide_records([record], event.partition, states, resolver)
        results.append(DryRunResult(event, decided))
    return results


async def _known_states(
    settings: Settings, rows: Collection[tuple[int, Id | None]], rules: Rules
) -> StatesInMemory:
    """Return the states of rows, given by partition and id."""
    states = StatesInMemory()
    topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
    async with open_topic(settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
        spans = {p: output.spans[p] for p in {partition for partition, _ in rows}}
        async for partition, records in output.read(spans):
            for record in records:
                row_id = rules.codec.keys.read_output(record.key)
                if row_id is None or (partition, row_id) not in rows:
                    continue
                known = states.read(partition, [row_id]).get(row_id)
                found = state_of_record(record, rules.codec, known)
                if found is not None:
                    states.write(partition, dict([found]))
    return states
