"""Follows `products` and decides on its events, outside the worker's group."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack

from dedup.core.decide import ProcessingTime, Rules
from dedup.core.decide_again import decide_again
from dedup.inspection.decided_events import DecidedEvent, decide_records
from dedup.inspection.recorded_output import open_recorded_output, setting_differences
from dedup.inspection.resolver import DecisionResolver
from dedup.inspection.states import StateRecord, StatesOnDisk, load_states, states_on_disk
from dedup.kafka.offsets import ends_of_states
from dedup.kafka.topic_reader import Batches, TopicReader, open_topic
from dedup.kafka.topics import check_topics
from dedup.rules import rules_of
from dedup.settings import Settings
from dedup.state.store import PERSIST_EVERY_EVENTS


async def decisions(
    settings: Settings,
    *,
    from_beginning: bool,
    until_end: bool,
    ready: Callable[[], None],
    note: Callable[[str], None],
) -> AsyncGenerator[DecidedEvent, None]:
    """Return the decisions on events from now on, or on all that are on the topic too.

    From the beginning, the decisions on past events are those the worker made. Otherwise the known
    states are read, and events that are not in them yet are decided on before the first decision is
    returned. `ready` is called when no later event is missed, `note` with each difference of the
    settings. Raises ReadError and TopicError.
    """
    rules = rules_of(settings, await check_topics(settings))
    topic = settings.KAFKA_PRODUCT_TOPIC
    async with AsyncExitStack() as stack:
        states = stack.enter_context(states_on_disk(settings.entity))
        events = await stack.enter_async_context(open_topic(settings, topic, "KAFKA_PRODUCT_TOPIC"))
        starts = {partition: span.start for partition, span in events.spans.items()}
        shown_from = starts
        if from_beginning:
            emitted = stack.enter_context(states_on_disk(settings.entity))
            output = await stack.enter_async_context(open_recorded_output(settings, rules, emitted))
            resolver, notes = output.resolver, output.notes
        else:
            shown_from = {partition: span.stop for partition, span in events.spans.items()}
            starts, newest = await _load_known_states(settings, states, rules)
            if rules.window_kind == "sliding":
                await bring_up_to_date(events, starts, states, rules)
            resolver = DecisionResolver(rules)
            notes = setting_differences(settings, rules, newest)
        for text in notes:
            note(text)
        ready()
        batches = _until_end(events, starts) if until_end else events.follow(starts)
        async for partition, records in batches:
            for decided in decide_records(records, partition, states, resolver):
                if decided.at.offset >= shown_from[partition]:
                    yield decided


def _until_end(events: TopicReader, starts: Mapping[int, int]) -> Batches:
    return events.read({p: range(starts[p], span.stop) for p, span in events.spans.items()})


async def _load_known_states(
    settings: Settings, states: StatesOnDisk, rules: Rules
) -> tuple[dict[int, int], list[StateRecord]]:
    """Read the known states; return the offsets of the first events that are not in them.

    The second result is the newest record of each partition.
    """
    positions = await ends_of_states(settings)
    topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
    async with open_topic(settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
        return positions, await load_states(output, states, rules.codec)


async def bring_up_to_date(
    events: TopicReader, ends: Mapping[int, int], states: StatesOnDisk, rules: Rules
) -> None:
    """Bring the states up to date with the duplicates before these offsets, as a recovery does.

    They move the end of a sliding window, and are on no record.
    """
    spans = {
        p: range(max(span.start, ends[p] - 2 * PERSIST_EVERY_EVENTS), ends[p])
        for p, span in events.spans.items()
    }
    clock = ProcessingTime(0, "")  # the window is by event time, and nothing is emitted
    async for partition, records in events.read(spans):
        ids = {rules.codec.keys.read(r.key) for r in records if r.key is not None}
        known = states.read(partition, [row_id for row_id in ids if row_id is not None])
        states.write(partition, decide_again(records, known, partition, clock, rules))
