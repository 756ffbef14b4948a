"""Everything the topics have about one row."""

from collections.abc import Sequence
from dataclasses import dataclass

from dedup.core.codec import Codec
from dedup.core.codecs import with_content_of
from dedup.core.decide import Rules
from dedup.core.keys import Id
from dedup.core.state import UNKNOWN_SOURCE, State
from dedup.inspection.decided_events import DecidedEvent, decide_records
from dedup.inspection.recorded_output import open_recorded_output
from dedup.inspection.states import StateRecord, StatesInMemory
from dedup.kafka.topic_reader import ReadError, open_topic
from dedup.kafka.topics import check_topics
from dedup.rules import rules_of
from dedup.settings import Settings


@dataclass(frozen=True)
class RowInspection:
    """The records and events of an id in all partitions, the newest last.

    `topic` is the output topic. `complete`: the source topic still has the first event of these
    partitions. `notes`: how the settings differ from those the newest record was made with.
    """

    codec: Codec
    topic: str
    row_id: Id
    partitions: list[int]
    partition_count: int
    records: list[StateRecord]
    events: list[DecidedEvent]
    complete: bool
    notes: list[str]
    rules: Rules
    state: State | None
    """What is known after the last event in the partition of the newest record."""

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
        codec = with_content_of(self.codec, state.fingerprint)
        return None if codec is None else codec.row_fingerprint(state.row) == state.fingerprint

    def fingerprint_fields(self) -> tuple[str, ...] | None:
        """Return the content fields of the newest row's fingerprint; None if they are unknown."""
        state = self.records[-1].state if self.records else None
        if state is None or state.row is None:
            return None
        codec = with_content_of(self.codec, state.fingerprint)
        return None if codec is None else codec.content


def emitted_at(event: DecidedEvent) -> int | None:
    """Return the offset on `src_products` of what an event emitted, if it is still there."""
    return None if event.emission is None else event.emission.offset


async def inspect_row(
    settings: Settings, row_id: Id, partition: int | None = None
) -> RowInspection:
    """Read what the topics have about a row. Raises ReadError if they have nothing.

    The row is found by its key, whichever partition its producer chose. With `partition` only
    that one is read.
    """
    rules = rules_of(settings, await check_topics(settings))
    codec = rules.codec
    records: list[StateRecord] = []

    def collect(read: Sequence[StateRecord]) -> None:
        records.extend(r for r in read if codec.keys.read_output(r.record.key) == row_id)

    states, events = StatesInMemory(row_id), list[DecidedEvent]()
    recorded_output = open_recorded_output(
        settings, rules, states, on_records=collect, rows_of=row_id, partition=partition
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
                known.write(number, {row_id: before})
        async for number, batch in source.read(spans):
            of_row = [r for r in batch if r.key is not None and codec.keys.read(r.key) == row_id]
            events += decide_records(of_row, number, known, output.resolver)
    partitions = {r.partition for r in records} | {e.at.partition for e in events}
    if not partitions:
        where = "any partition" if partition is None else f"partition {partition}"
        raise ReadError(
            f"Nothing is known of {codec.entity.name} {row_id}: neither "
            f"{settings.KAFKA_PRODUCT_TOPIC} nor {settings.KAFKA_SRC_PRODUCTS_TOPIC} has a record "
            f"of it in {where}."
        )
    if len(partitions) > 1:  # those of one partition are in order
        records.sort(key=lambda each: each.record.timestamp)
        events.sort(key=lambda each: each.record.timestamp)
    complete = all(spans[number].start == 0 for number in partitions)
    return RowInspection(
        codec,
        settings.KAFKA_SRC_PRODUCTS_TOPIC,
        row_id,
        sorted(partitions),
        len(source.spans),
        records,
        events,
        complete,
        output.notes,
        rules,
        _state_after(records, known, row_id),
    )


def _state_after(records: list[StateRecord], known: StatesInMemory, row_id: Id) -> State | None:
    """Return the state after the newest record of a row and the duplicates since then."""
    if not records:
        return None
    newest = records[-1]
    replayed = known.read(newest.partition, [row_id]).get(row_id)
    if replayed is None or (newest.state is not None and newest.state.offset > replayed.offset):
        return newest.state  # its events are no longer on the topic
    return replayed


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
