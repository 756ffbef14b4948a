"""Everything the topics have about one product."""

from collections.abc import Sequence
from dataclasses import dataclass

from dedup.core.fingerprint import scheme_of
from dedup.core.row import read_output_key, read_product
from dedup.core.state import UNKNOWN_SOURCE, State
from dedup.inspection.decided_events import DecidedEvent, decide_records
from dedup.inspection.recorded_output import open_recorded_output
from dedup.inspection.states import StateRecord, StatesInMemory
from dedup.kafka.topic_reader import ReadError, open_topic
from dedup.kafka.topics import check_topics
from dedup.rules import rules_of
from dedup.settings import Settings


@dataclass(frozen=True)
class ProductInspection:
    """The records and events of a product in all partitions, the newest last.

    `complete`: `products` still has the first event of these partitions. `notes`: how the settings
    differ from those the newest record was made with.
    """

    product_id: int
    partitions: list[int]
    partition_count: int
    records: list[StateRecord]
    events: list[DecidedEvent]
    complete: bool
    notes: list[str]

    @property
    def partition(self) -> int:
        """The partition of the newest record, or else of the newest event."""
        newest = self.records[-1].record if self.records else self.events[-1].record
        return int(newest.partition)

    def fingerprint_matches(self) -> bool | None:
        """Return whether the newest row has the fingerprint of its header; None without header."""
        state = self.records[-1].state if self.records else None
        if state is None or state.row is None or state.partition == UNKNOWN_SOURCE:
            return None
        scheme, product = scheme_of(state.fingerprint), read_product(state.row)
        if scheme is None:
            return None
        return product is not None and scheme.fingerprint(product) == state.fingerprint

    def fingerprint_fields(self) -> tuple[str, ...] | None:
        """Return the content fields of the newest row's fingerprint; None if they are unknown."""
        state = self.records[-1].state if self.records else None
        scheme = None if state is None or state.row is None else scheme_of(state.fingerprint)
        return None if scheme is None else scheme.fields


def emitted_at(event: DecidedEvent) -> int | None:
    """Return the offset on `src_products` of what an event emitted, if it is still there."""
    return None if event.emission is None else event.emission.offset


async def inspect_product(
    settings: Settings, product_id: int, partition: int | None = None
) -> ProductInspection:
    """Read what the topics have about a product. Raises ReadError if they have nothing.

    The product is found by its key, whichever partition its producer chose. With `partition` only
    that one is read.
    """
    rules = rules_of(settings, await check_topics(settings))
    records: list[StateRecord] = []

    def collect(read: Sequence[StateRecord]) -> None:
        records.extend(r for r in read if read_output_key(r.record.key) == product_id)

    states, events = StatesInMemory(product_id), list[DecidedEvent]()
    recorded_output = open_recorded_output(
        settings, rules, states, on_records=collect, rows_of=product_id, partition=partition
    )
    async with (
        recorded_output as output,
        open_topic(settings, settings.KAFKA_PRODUCT_TOPIC, "KAFKA_PRODUCT_TOPIC") as source,
    ):
        spans = {p: span for p, span in source.spans.items() if partition in (None, p)}
        known = StatesInMemory()
        for number, span in spans.items():
            before = _state_before(records, number, span.start)
            if before is not None:
                known.write(number, {product_id: before})
        async for number, batch in source.read(spans):
            of_product = [record for record in batch if record.key == b"%d" % product_id]
            events += decide_records(of_product, number, known, output.resolver)
    partitions = {r.partition for r in records} | {e.at.partition for e in events}
    if not partitions:
        where = "any partition" if partition is None else f"partition {partition}"
        raise ReadError(
            f"Nothing is known of product {product_id}: neither {settings.KAFKA_PRODUCT_TOPIC} nor "
            f"{settings.KAFKA_SRC_PRODUCTS_TOPIC} has a record of it in {where}."
        )
    if len(partitions) > 1:  # those of one partition are in order
        records.sort(key=lambda each: each.record.timestamp)
        events.sort(key=lambda each: each.record.timestamp)
    complete = all(spans[number].start == 0 for number in partitions)
    return ProductInspection(
        product_id,
        sorted(partitions),
        len(source.spans),
        records,
        events,
        complete,
        output.notes,
    )


def _state_before(records: list[StateRecord], partition: int, first_offset: int) -> State | None:
    """Return the state before the first event that is retained, if `src_products` has it."""
    earlier = [
        each.state
        for each in records
        if each.partition == partition
        and each.state is not None
        and each.state.offset < first_offset
    ]
    return earlier[-1] if earlier else None
