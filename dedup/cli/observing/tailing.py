"""Decisions as they come: `products` followed and decided on, beside the worker's group."""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final

from dedup.cli.observing.states import StatesOnDisk, load, states_on_disk
from dedup.cli.observing.verdicts import Verdict, judge, with_markers
from dedup.core.decide import Rules
from dedup.positions import positions_of_states
from dedup.reading import Batches, TopicReader, open_topic
from dedup.settings import Settings
from dedup.topics import check_topics

SOURCE: Final = "KAFKA_PRODUCT_TOPIC"


async def decisions(
    settings: Settings, *, from_beginning: bool, until_end: bool, ready: Callable[[], None]
) -> AsyncGenerator[tuple[Verdict, Rules], None]:
    """Give the decisions on events from now on, or on all that stand on the topic too.

    From the beginning, nothing is known at first. Else the known states are read, and what they do
    not hold yet is decided on before the first decision is given. `ready` is called when no event
    to come is missed any more. Raises ReadError and TopicError.
    """
    facts = await check_topics(settings)
    rules = with_markers(settings.rules(), facts.delete_retention_ms)
    topic = settings.KAFKA_PRODUCT_TOPIC
    with states_on_disk() as states:
        async with open_topic(settings, topic, SOURCE) as events:
            starts = {partition: span.start for partition, span in events.spans.items()}
            shown_from = starts
            if not from_beginning:
                shown_from = {partition: span.stop for partition, span in events.spans.items()}
                starts = await _known(settings, states, rules)
            ready()
            batches = _until_end(events, starts) if until_end else events.follow(starts)
            async for partition, records in batches:
                for verdict in judge(records, partition, states, rules):
                    if verdict.at.offset >= shown_from[partition]:
                        yield verdict, rules


def _until_end(events: TopicReader, starts: Mapping[int, int]) -> Batches:
    return events.read({p: range(starts[p], span.stop) for p, span in events.spans.items()})


async def _known(settings: Settings, states: StatesOnDisk, rules: Rules) -> dict[int, int]:
    """Read the known states; give the offsets from which on events are not in them."""
    positions = await positions_of_states(settings)
    topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
    async with open_topic(settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
        await load(output, states, rules.scheme)
    return positions
