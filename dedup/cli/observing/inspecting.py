"""Everything the topics tell of one product."""

from dataclasses import dataclass
from typing import Any

from dedup.cli.observing.states import StatesInMemory, state_of_record
from dedup.cli.observing.verdicts import Verdict, judge, with_markers
from dedup.core.decide import Position, Rules
from dedup.core.row import read_output_key, read_product
from dedup.core.state import State
from dedup.partitioning import partition_of_product
from dedup.reading import ReadError, open_topic
from dedup.settings import Settings
from dedup.topics import check_topics


@dataclass(frozen=True)
class Emission:
    """A record of the product on `src_products`, and the state it tells; None: unreadable."""

    record: Any
    state: State | None


@dataclass(frozen=True)
class Product:
    """What was found. `complete`: `products` still has its partition's first event."""

    product_id: int
    partition: int
    rules: Rules
    emissions: list[Emission]
    verdicts: list[Verdict]
    complete: bool

    def emitted_at(self, verdict: Verdict) -> int | None:
        """Give the offset on `src_products` of what an event emitted, if it stands there."""
        at = verdict.at
        for emission in self.emissions:
            state = emission.state
            if state is not None and Position(state.partition, state.offset) == at:
                return int(emission.record.offset)
        return None

    def fingerprint_matches(self) -> bool | None:
        """Tell whether the newest row has the fingerprint its header says; None: no such header."""
        state = self.emissions[-1].state if self.emissions else None
        if state is None or state.row is None or not self.rules.scheme.made(state.fingerprint):
            return None
        product = read_product(state.row)
        return product is not None and self.rules.scheme.fingerprint(product) == state.fingerprint


async def inspect_product(settings: Settings, product_id: int) -> Product:
    """Read the product's partition of both topics. Raises ReadError when neither knows it."""
    facts = await check_topics(settings)
    rules = with_markers(settings.rules(), facts.delete_retention_ms)
    partition = partition_of_product(product_id, facts.partitions)
    emissions = await _emissions(settings, partition, product_id, rules)
    source = settings.KAFKA_PRODUCT_TOPIC
    records: list[Any] = []
    async with open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as events:
        span = events.spans[partition]
        async for _, batch in events.read({partition: span}):
            records += [record for record in batch if record.key == b"%d" % product_id]
    if not records and not emissions:
        raise ReadError(
            f"Nothing is known of product {product_id}: neither {source} nor "
            f"{settings.KAFKA_SRC_PRODUCTS_TOPIC} has a record of it in partition {partition}."
        )
    states = StatesInMemory()
    before = _before(emissions, span.start)
    if before is not None:
        states.write(partition, {product_id: before})
    verdicts = list(judge(records, partition, states, rules))
    return Product(product_id, partition, rules, emissions, verdicts, span.start == 0)


async def _emissions(
    settings: Settings, partition: int, product_id: int, rules: Rules
) -> list[Emission]:
    found: list[Emission] = []
    known: State | None = None
    topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
    async with open_topic(settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
        async for _, batch in output.read({partition: output.spans[partition]}):
            for record in batch:
                if read_output_key(record.key) == product_id:
                    read = state_of_record(record, rules.scheme, known)
                    known = None if read is None else read[1]
                    found.append(Emission(record, known))
    return found


def _before(emissions: list[Emission], first_offset: int) -> State | None:
    """Give what was known before the first event that is left, if `src_products` tells it."""
    states = [emission.state for emission in emissions if emission.state is not None]
    earlier = [state for state in states if state.offset < first_offset]
    return earlier[-1] if earlier else None
