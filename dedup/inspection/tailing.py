"""Decisions as they come: `products` followed and decided on, beside the worker's group."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final

from dedup.core.decide import Rules
from dedup.inspection.gathering import differences, gathered
from dedup.inspection.states import Read, StatesOnDisk, load, states_on_disk
from dedup.inspection.telling import Teller
from dedup.inspection.verdicts import Verdict, judge
from dedup.kafka.offsets import ends_of_states
from dedup.kafka.topic_reader import Batches, TopicReader, open_topic
from dedup.kafka.topics import check_topics
from dedup.rules import rules_of
from dedup.settings import Settings

SOURCE: Final = "KAFKA_PRODUCT_TOPIC"


async def decisions(
    settings: Settings,
    *,
    from_beginning: bool,
    until_end: bool,
    ready: Callable[[], None],
    note: Callable[[str], None],
) -> AsyncGenerator[Verdict, None]:
    """Return the decisions on events from now on, or on all that stand on the topic too.

    From the beginning, it is told what became of the events that were done. Else the known states
    are read, and what they do not hold yet is decided on before the first decision is given.
    `ready` is called when no event to come is missed any more, `note` with what is to be said of
    the settings. Raises ReadError and TopicError.
    """
    rules = rules_of(settings, await check_topics(settings))
    topic = settings.KAFKA_PRODUCT_TOPIC
    async with AsyncExitStack() as stack:
        states = stack.enter_context(states_on_disk())
        events = await stack.enter_async_context(open_topic(settings, topic, SOURCE))
        starts = {partition: span.start for partition, span in events.spans.items()}
        shown_from = starts
        if from_beginning:
            emitted = stack.enter_context(states_on_disk())
            found = await stack.enter_async_context(gathered(settings, rules, emitted))
            teller, notes = found.teller, found.notes
        else:
            shown_from = {partition: span.stop for partition, span in events.spans.items()}
            starts, newest = await _known(settings, states, rules)
            teller, notes = Teller(rules), differences(settings, rules, newest)
        for sentence in notes:
            note(sentence)
        ready()
        batches = _until_end(events, starts) if until_end else events.follow(starts)
        async for partition, records in batches:
            for verdict in judge(records, partition, states, teller):
                if verdict.at.offset >= shown_from[partition]:
                    yield verdict


def _until_end(events: TopicReader, starts: Mapping[int, int]) -> Batches:
    return events.read({p: range(starts[p], span.stop) for p, span in events.spans.items()})


async def _known(
    settings: Settings, states: StatesOnDisk, rules: Rules
) -> tuple[dict[int, int], list[Read]]:
    """Read the known states; give the offsets from which on events are not in them.

    With them the newest record of each partition.
    """
    positions = await ends_of_states(settings)
    topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
    async with open_topic(settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
        return positions, await load(output, states, rules.scheme)
