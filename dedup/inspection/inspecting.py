"""Everything the topics tell of one product."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dedup.core.fingerprint import scheme_of
from dedup.core.row import read_output_key, read_product
from dedup.core.state import UNKNOWN_SOURCE, State
from dedup.inspection.gathering import gathered
from dedup.inspection.states import Read, StatesInMemory
from dedup.inspection.verdicts import Verdict, judge
from dedup.kafka.topic_reader import ReadError, open_topic
from dedup.kafka.topics import check_topics
from dedup.rules import rules_of
from dedup.settings import Settings


@dataclass(frozen=True)
class Emission:
    """A record of the product on `src_products`, and the state it tells; None: unreadable."""

    record: Any
    state: State | None


@dataclass(frozen=True)
class ProductInspection:
    """What was found, in whatever partitions; the newest of each list is its last.

    `complete`: `products` still has the first event of these partitions. `notes`: in what the
    settings are not those that the newest records were made with.
    """

    product_id: int
    partitions: list[int]
    of: int
    emissions: list[Emission]
    verdicts: list[Verdict]
    complete: bool
    notes: list[str]

    @property
    def partition(self) -> int:
        """The partition of the newest record, or else of the newest event."""
        newest = self.emissions[-1].record if self.emissions else self.verdicts[-1].record
        return int(newest.partition)

    def emitted_at(self, verdict: Verdict) -> int | None:
        """Return the offset on `src_products` of what an event emitted, if it stands there."""
        return None if verdict.emission is None else verdict.emission.offset

    def fingerprint_matches(self) -> bool | None:
        """Tell whether the newest row has the fingerprint its header says; None: no such header."""
        state = self.emissions[-1].state if self.emissions else None
        if state is None or state.row is None or state.partition == UNKNOWN_SOURCE:
            return None
        scheme, product = scheme_of(state.fingerprint), read_product(state.row)
        if scheme is None:
            return None
        return product is not None and scheme.fingerprint(product) == state.fingerprint

    def fingerprint_fields(self) -> tuple[str, ...] | None:
        """Return the content fields of the newest row's fingerprint; None where none says so."""
        state = self.emissions[-1].state if self.emissions else None
        scheme = None if state is None or state.row is None else scheme_of(state.fingerprint)
        return None if scheme is None else scheme.fields


async def inspect_product(
    settings: Settings, product_id: int, partition: int | None = None
) -> ProductInspection:
    """Read what the topics hold of a product. Raises ReadError when neither knows it.

    It is found by its key, whichever partition its producer chose. With `partition` only that one
    is read.
    """
    rules = rules_of(settings, await check_topics(settings))
    emissions: list[Emission] = []

    def look(reads: Sequence[Read]) -> None:
        emissions.extend(
            Emission(read.record, read.state)
            for read in reads
            if read_output_key(read.record.key) == product_id
        )

    states, verdicts = StatesInMemory(product_id), list[Verdict]()
    async with (
        gathered(settings, rules, states, look=look, keep=product_id, partition=partition) as found,
        open_topic(settings, settings.KAFKA_PRODUCT_TOPIC, "KAFKA_PRODUCT_TOPIC") as events,
    ):
        spans = {p: span for p, span in events.spans.items() if partition in (None, p)}
        known = StatesInMemory()
        for number, span in spans.items():
            before = _before(emissions, number, span.start)
            if before is not None:
                known.write(number, {product_id: before})
        async for number, batch in events.read(spans):
            records = [record for record in batch if record.key == b"%d" % product_id]
            verdicts += judge(records, number, known, found.teller)
    places = {e.record.partition for e in emissions} | {v.at.partition for v in verdicts}
    if not places:
        where = "any partition" if partition is None else f"partition {partition}"
        raise ReadError(
            f"Nothing is known of product {product_id}: neither {settings.KAFKA_PRODUCT_TOPIC} nor "
            f"{settings.KAFKA_SRC_PRODUCTS_TOPIC} has a record of it in {where}."
        )
    if len(places) > 1:  # each partition's are in order
        emissions.sort(key=lambda emission: emission.record.timestamp)
        verdicts.sort(key=lambda verdict: verdict.record.timestamp)
    complete = all(spans[place].start == 0 for place in places)
    return ProductInspection(
        product_id, sorted(places), len(events.spans), emissions, verdicts, complete, found.notes
    )


def _before(emissions: list[Emission], partition: int, first_offset: int) -> State | None:
    """Return what was known before the first event that is left, if `src_products` tells it."""
    earlier = [
        emission.state
        for emission in emissions
        if emission.record.partition == partition
        and emission.state is not None
        and emission.state.offset < first_offset
    ]
    return earlier[-1] if earlier else None
