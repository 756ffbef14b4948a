"""Reads everything the worker wrote, to find the decisions on past events from it."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from dedup.core.decide import Rules
from dedup.core.keys import Id
from dedup.core.rules_header import rules_of_record
from dedup.core.state import UNKNOWN_SOURCE
from dedup.dlq.record import DeadLetterRecord
from dedup.dlq.topic import open_dead_letters
from dedup.inspection.output_index import OutputIndex, output_index_on_disk
from dedup.inspection.resolver import DecisionResolver
from dedup.inspection.states import StateRecord, States, read_states
from dedup.kafka.offsets import committed_offsets
from dedup.kafka.topic_reader import ReadError, open_topic
from dedup.settings import Settings

_INSERTED_AT_ONCE: Final = 500


@dataclass(frozen=True)
class RecordedOutput:
    """What the worker wrote, and what its group has committed.

    `notes`: each setting that differs from the one the newest record was made with.
    """

    resolver: DecisionResolver
    index: OutputIndex
    committed: Mapping[int, int]
    notes: list[str]


@asynccontextmanager
async def open_recorded_output(
    settings: Settings,
    rules: Rules,
    states: States,
    *,
    on_records: Callable[[Sequence[StateRecord]], None] = lambda _: None,
    rows_of: Id | None = None,
    partition: int | None = None,
) -> AsyncIterator[RecordedOutput]:
    """Read the worker's output; `on_records` is called with the records of `src_products`.

    `rows_of` limits the stored rows to those of one id, `partition` the reading to one
    partition. Raises ReadError.
    """
    source = settings.KAFKA_PRODUCT_TOPIC
    with output_index_on_disk(settings.entity) as index:
        async with open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as events:
            # Before the records are read: those then include the output of all committed events.
            committed = await committed_offsets(settings, len(events.spans))
        newest: dict[int, StateRecord] = {}
        topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
        async with open_topic(settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
            spans = {p: s for p, s in output.spans.items() if partition in (None, p)}
            async for records in read_states(output, states, rules.codec, spans):
                index.add_emissions(records, rows_of)
                newest |= {r.partition: r for r in records if r.state is not None}
                on_records(records)
        await _index_dead_letters(settings, index)
        resolver = DecisionResolver(rules, index, committed)
        notes = setting_differences(settings, rules, newest.values())
        yield RecordedOutput(resolver, index, committed, notes)


async def _index_dead_letters(settings: Settings, index: OutputIndex) -> None:
    source = settings.KAFKA_PRODUCT_TOPIC
    try:
        async with open_dead_letters(settings) as topic:
            spans = topic.spans
            read: list[DeadLetterRecord] = []
            async for letter in topic.read():
                read.append(letter)
                if len(read) == _INSERTED_AT_ONCE:
                    index.add_dead_letters(source, read)
                    read = []
            index.add_dead_letters(source, read)
            index.dead_letters_complete = all(span.start == 0 for span in spans.values())
    except ReadError:
        return  # without the topic no dead letter is known; `verify` reports that it is missing


def setting_differences(
    settings: Settings, rules: Rules, newest: Iterable[StateRecord]
) -> list[str]:
    """Return a message for each setting that differs from that of the newest record."""
    ours = [r for r in newest if r.state is not None and r.state.partition != UNKNOWN_SOURCE]
    if not ours:
        return []
    last = max(ours, key=lambda read: read.state.emitted_at if read.state else 0)
    made = rules_of_record(last.record.headers, settings.entity)
    key_format = "json" if (last.record.key or b"").startswith(b"{") else "plain"
    pairs = {
        "DEDUP_ORDER": (rules.order, made.order),
        "DEDUP_STRATEGY": (rules.strategy, made.strategy),
        **_window_differences(rules, made),
        "DEDUP_UNKNOWN_ACTION": (rules.codec.unknown_actions, made.codec.unknown_actions),
        "DEDUP_UNKNOWN_FIELDS": (rules.codec.unknown_fields, made.codec.unknown_fields),
        "DEDUP_OUTPUT_KEY_FORMAT": (settings.DEDUP_OUTPUT_KEY_FORMAT, key_format),
    }
    if last.state is not None and last.state.row is not None:
        fields = ",".join(rules.codec.content), ",".join(made.codec.content)
        pairs = {"DEDUP_CONTENT_FIELDS": fields, **pairs}
    topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
    return [
        f"{name} is {here} here; the newest record of {topic} was made with {there}."
        for name, (here, there) in pairs.items()
        if here != there
    ]


def _window_differences(rules: Rules, made: Rules) -> dict[str, tuple[object, object]]:
    is_refresh = {(r.strategy, r.window_kind) for r in (rules, made)} == {("latest", "fixed")}
    return {
        "DEDUP_REFRESH_AFTER" if is_refresh else "DEDUP_WINDOW": (_seconds(rules), _seconds(made)),
        "DEDUP_WINDOW_KIND": (rules.window_kind, made.window_kind),
        "DEDUP_WINDOW_ENTRIES": (rules.window_entries, made.window_entries),
    }


def _seconds(rules: Rules) -> str:
    return "not set" if rules.window_us is None else f"{rules.window_us / 1e6:g} s"
