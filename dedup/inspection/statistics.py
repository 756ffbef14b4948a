"""Counts the events on `products` by outcome: the views of the Flink job, with correct numbers."""

from collections import Counter
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, islice
from typing import Any

from dedup.core.codec import Codec
from dedup.core.decide import EMITTING, Outcome
from dedup.core.entity import Entity
from dedup.inspection.decided_events import decide_records
from dedup.inspection.recorded_output import open_recorded_output
from dedup.inspection.resolver import DecisionResolver
from dedup.inspection.states import StatesOnDisk, states_on_disk
from dedup.kafka.topic_reader import open_topic
from dedup.kafka.topics import check_topics
from dedup.rules import rules_of
from dedup.settings import Settings


@dataclass(frozen=True)
class Statistics:
    """The events on `products` by outcome, and the rows on `src_products`.

    `complete`: `products` still has its first event in every partition. `rows` are the first rows
    by partition and id. `notes`: how the settings differ from those of the newest record.
    """

    entity: Entity
    outcomes: Counter[Outcome]
    unique_rows: int
    complete: bool
    current_rows: int
    rows: list[dict[str, Any]]
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return what `dedup stats --json` prints."""
        plural = self.entity.plural
        total, duplicates = self.outcomes.total(), self.outcomes[Outcome.DUPLICATE]
        return {
            "deduplication_stats": {
                "total_events": total,
                f"unique_{plural}": self.unique_rows,
                "duplicates": duplicates,
                "duplicate_percentage": round(100 * duplicates / total, 2) if total else 0.0,
                "outcomes": {outcome.value: self.outcomes[outcome] for outcome in Outcome},
                "complete": self.complete,
            },
            "raw_versus_deduplicated": {
                "raw_events": total,
                "deduplicated": sum(self.outcomes[outcome] for outcome in EMITTING),
                f"current_{plural}": self.current_rows,
            },
            f"current_{self.entity.name}_state": self.rows,
            "notes": self.notes,
        }


async def statistics(settings: Settings, limit: int) -> Statistics:
    """Read the topics as they are now. Raises ReadError and TopicError."""
    rules = rules_of(settings, await check_topics(settings))
    entity = settings.entity
    with states_on_disk(entity) as decided, states_on_disk(entity) as current:
        async with open_recorded_output(settings, rules, current) as output:
            outcomes, complete = await _count(settings, decided, output.resolver)
        ids = merge(*((i for i, _ in decided.items(p)) for p in decided.partitions))
        unique = sum(1 for _ in groupby(ids))
        number = sum(
            state.row is not None
            for partition in current.partitions
            for _, state in current.items(partition)
        )
        rows = _first_rows(current, rules.codec, limit)
        return Statistics(entity, outcomes, unique, complete, number, rows, output.notes)


async def _count(
    settings: Settings, states: StatesOnDisk, resolver: DecisionResolver
) -> tuple[Counter[Outcome], bool]:
    outcomes: Counter[Outcome] = Counter()
    async with open_topic(settings, settings.KAFKA_PRODUCT_TOPIC, "KAFKA_PRODUCT_TOPIC") as events:
        async for partition, records in events.read():
            events_decided = decide_records(records, partition, states, resolver)
            outcomes.update(each.decision.outcome for each in events_decided)
        return outcomes, all(span.start == 0 for span in events.spans.values())


def _first_rows(states: StatesOnDisk, codec: Codec, limit: int) -> list[dict[str, Any]]:
    rows = (
        codec.readable_row(state.row)
        for partition in states.partitions
        for _, state in states.items(partition)
        if state.row is not None
    )
    return list(islice(filter(None, rows), limit))
