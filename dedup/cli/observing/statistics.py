"""What all of `products` comes to: the views that the Flink job offers, with right numbers."""

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from dedup.cli.observing.states import StatesOnDisk, load, states_on_disk
from dedup.cli.observing.verdicts import judge, with_markers
from dedup.core.decide import EMITTING, Outcome, Rules
from dedup.core.row import read_product
from dedup.reading import open_topic
from dedup.settings import Settings
from dedup.topics import check_topics


@dataclass(frozen=True)
class Statistics:
    """The events on `products` as they are decided on, and what `src_products` holds.

    `complete`: `products` still has its first event in every partition. `states` are the first
    rows by partition and product_id.
    """

    outcomes: Counter[Outcome]
    unique_products: int
    complete: bool
    products: int
    states: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Give what `dedup stats --json` prints."""
        total, duplicates = self.outcomes.total(), self.outcomes[Outcome.DUPLICATE]
        return {
            "deduplication_stats": {
                "total_events": total,
                "unique_products": self.unique_products,
                "duplicates": duplicates,
                "duplicate_percentage": round(100 * duplicates / total, 2) if total else 0.0,
                "outcomes": {outcome.value: self.outcomes[outcome] for outcome in Outcome},
                "complete": self.complete,
            },
            "raw_versus_deduplicated": {
                "raw_events": total,
                "deduplicated": sum(self.outcomes[outcome] for outcome in EMITTING),
                "current_products": self.products,
            },
            "current_product_state": self.states,
        }


async def statistics(settings: Settings, limit: int) -> Statistics:
    """Read both topics as they stand now. Raises ReadError and TopicError."""
    facts = await check_topics(settings)
    rules = with_markers(settings.rules(), facts.delete_retention_ms)
    with states_on_disk() as decided:
        outcomes, complete = await _decide(settings, decided, rules)
        unique = sum(1 for partition in decided.partitions for _ in decided.items(partition))
    with states_on_disk() as current:
        topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
        async with open_topic(settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
            await load(output, current, rules.scheme)
        products = sum(
            state.row is not None
            for partition in current.partitions
            for _, state in current.items(partition)
        )
        return Statistics(outcomes, unique, complete, products, _first_rows(current, limit))


async def _decide(
    settings: Settings, states: StatesOnDisk, rules: Rules
) -> tuple[Counter[Outcome], bool]:
    outcomes: Counter[Outcome] = Counter()
    async with open_topic(settings, settings.KAFKA_PRODUCT_TOPIC, "KAFKA_PRODUCT_TOPIC") as events:
        async for partition, records in events.read():
            outcomes.update(v.decision.outcome for v in judge(records, partition, states, rules))
        return outcomes, all(span.start == 0 for span in events.spans.values())


def _first_rows(states: StatesOnDisk, limit: int) -> list[dict[str, Any]]:
    rows = (
        state.row
        for partition in states.partitions
        for _, state in states.items(partition)
        if state.row is not None and read_product(state.row) is not None
    )
    return [msgspec.json.decode(row) for row in islice(rows, limit)]
