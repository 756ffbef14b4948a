"""Compares variants of the rules over the events of one topic, without a worker.

Each variant decides on every event as a worker would that began with the first one and read each
event when it was written: the clock is the timestamp of the record. Partitions are read one after
the other, each in its own order. Memory does not grow with the topic: of the partition that is
being read, the states of each variant are on disk.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Final

from dedup.core.batch import decide_batch
from dedup.core.batch_result import OutputRecord, RowFormat, SourceRecord
from dedup.core.codec import Codec
from dedup.core.codecs import codec_for
from dedup.core.decide import EMITTING, Outcome, ProcessingTime
from dedup.core.explain import instant
from dedup.core.keys import Id
from dedup.core.records import LAST_TIMESTAMP_MS
from dedup.core.rules_header import rules_headers
from dedup.inspection.entity_topic import OnRead
from dedup.inspection.states import StatesOnDisk, states_on_disk
from dedup.inspection.variants import Variant
from dedup.kafka.topic_reader import TopicReader, open_topic
from dedup.settings import Settings
from dedup.state.memory import Memory

Add = Callable[[Sequence[SourceRecord]], None]
"""Decides on records of a partition; they are added in order."""

_timestamp: Final = attrgetter("timestamp")
_id: Final = itemgetter(0)


@dataclass
class VariantResult:
    """What a variant makes of the events.

    `bytes_written`: keys, values and headers of the records on the output topic, not compressed.
    `rows`: those at the end. `other_state`: ids that end with another content than with the first
    variant, or only with one of the two. `forgotten`: entries that a window lost because there were
    too many.
    """

    variant: Variant
    row_format: RowFormat
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    bytes_written: int = 0
    rows: int = 0
    other_state: int = 0
    forgotten: int = 0

    @property
    def emitted(self) -> int:
        """The records that would be written."""
        return sum(self.outcomes[outcome] for outcome in EMITTING)

    @property
    def suppressed_share(self) -> float:
        """The share of the events that can be applied and emit nothing, from 0 to 1."""
        accepted = self.outcomes.total() - self.outcomes[Outcome.DEAD_LETTER]
        return (accepted - self.emitted) / accepted if accepted else 0.0


@dataclass
class Comparison:
    """The results of all variants; the others are compared with the first.

    `bytes_in`: keys, values and headers of the events, not compressed. `cut`: partitions whose
    first events were removed by retention.
    """

    topic: str
    results: Sequence[VariantResult]
    content: Codec
    """What compares the rows at the end: by all fields that any variant compares, and the rest."""

    events: int = 0
    bytes_in: int = 0
    cut: list[int] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)

    def bytes_saved(self, result: VariantResult) -> int:
        """Return how many bytes less are written than were read; below 0 if there are more."""
        return self.bytes_in - result.bytes_written


def new_comparison(settings: Settings, topic: str, variants: Sequence[Variant]) -> Comparison:
    """Return a comparison that has read nothing."""
    write_key = settings.DEDUP_OUTPUT_KEY_FORMAT
    results = [
        VariantResult(
            each,
            RowFormat(each.rules.codec.keys.writer(write_key), rules_headers(each.rules)),
        )
        for each in variants
    ]
    entity = settings.entity
    compared = {name for each in variants for name in each.rules.codec.content}
    codec = codec_for(entity, sorted({*entity.content, *compared}), settings.DEDUP_UNKNOWN_FIELDS)
    return Comparison(topic, results, codec)


async def compare_topic(
    settings: Settings, topic: str, setting: str, variants: Sequence[Variant], on_read: OnRead
) -> Comparison:
    """Compare variants over the events that are on a topic now; `setting` names the topic.

    Raises ReadError.
    """
    comparison = new_comparison(settings, topic, variants)
    async with open_topic(settings, topic, setting) as reader:
        await _read(reader, comparison, on_read)
    return comparison


async def _read(reader: TopicReader, comparison: Comparison, on_read: OnRead) -> None:
    comparison.cut = [partition for partition, span in reader.spans.items() if span.start > 0]
    there, done = sum(map(len, reader.spans.values())), 0
    for partition, span in reader.spans.items():
        with compared(comparison, partition) as add:
            async for _, records in reader.read({partition: span}):
                if records:
                    add(records)
                    on_read(done + records[-1].offset + 1 - span.start, there)
        done += len(span)
    on_read(there, there)


@contextmanager
def compared(comparison: Comparison, partition: int) -> Iterator[Add]:
    """Return what decides on the records of a partition; after the block, its rows are compared."""
    entity, results = comparison.content.entity, comparison.results
    with ExitStack() as opened:
        stores = [opened.enter_context(states_on_disk(entity, comparison.memory)) for _ in results]

        def add(records: Sequence[SourceRecord]) -> None:
            comparison.events += len(records)
            comparison.bytes_in += sum(map(_size, records))
            read_key = comparison.content.keys.read
            named = {read_key(record.key) for record in records if record.key is not None}
            ids = [row_id for row_id in named if row_id is not None]
            batches = [(_clock(ms), list(batch)) for ms, batch in groupby(records, _timestamp)]
            for result, store in zip(results, stores, strict=True):
                known = store.read(partition, ids)
                store.write(partition, _decide(result, batches, partition, known))

        yield add
        _compare_rows(comparison, partition, stores)


def _decide(
    result: VariantResult,
    batches: Sequence[tuple[ProcessingTime, Sequence[SourceRecord]]],
    partition: int,
    known: dict[Id, Any],
) -> Mapping[Id, Any]:
    """Decide on batches of one variant, each of one time; return the states that changed."""
    changed = {}
    record_of = result.row_format.record
    for clock, records in batches:
        decided = decide_batch(records, known, partition, clock, result.variant.rules)
        changed.update(decided.states)
        result.outcomes.update(decided.outcomes)
        result.forgotten += decided.forgotten
        result.bytes_written += sum(_size(record_of(each)) for each in decided.emissions)
    return changed


def _clock(timestamp_ms: int) -> ProcessingTime:
    us = max(-LAST_TIMESTAMP_MS, min(timestamp_ms, LAST_TIMESTAMP_MS)) * 1000
    return ProcessingTime(us, instant(us) or "")


def _size(record: SourceRecord | OutputRecord) -> int:
    """Return the bytes of a record, without what its batch adds."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _compare_rows(comparison: Comparison, partition: int, stores: Sequence[StatesOnDisk]) -> None:
    """Count the rows of each variant at the end, and those that differ from the first variant's."""

    def rows(number: int) -> Iterator[tuple[Id, int, bytes | None]]:
        for row_id, state in stores[number].items(partition):
            yield row_id, number, state.row

    content = comparison.content.row_fingerprint
    for _, found in groupby(merge(*map(rows, range(len(stores))), key=_id), _id):
        of = {number: row for _, number, row in found}
        first = of.get(0)
        for number, result in enumerate(comparison.results):
            row = of.get(number)
            result.rows += row is not None
            if row == first:
                continue
            result.other_state += row is None or first is None or content(row) != content(first)
