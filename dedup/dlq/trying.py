"""What would become of events that are re-submitted: the decisions of the core, nothing sent."""

from collections.abc import AsyncIterable, Callable, Collection
from typing import Any, NamedTuple

from dedup.core.decide import Rules
from dedup.core.read import read_key
from dedup.core.row import read_output_key
from dedup.dlq.replay import Resubmission
from dedup.inspection import verdicts
from dedup.inspection.states import StatesInMemory, state_of_record
from dedup.inspection.telling import Teller
from dedup.inspection.verdicts import Verdict, judge
from dedup.kafka.topic_reader import open_topic
from dedup.kafka.topics import check_topics
from dedup.rules import rules_of
from dedup.settings import Settings

Resubmissions = Callable[[], AsyncIterable[Resubmission]]


class _Record(NamedTuple):
    """The record of `products` that an event would be."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Trial(NamedTuple):
    """An event that was not sent, and the verdict on it."""

    event: Resubmission
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """Return what `dedup dlq replay --dry-run --json` prints of it."""
        told = verdicts.as_json(self.verdict)
        return {"position": self.event.letter.position} | told

    def as_line(self) -> Any:
        """Return the line that `dedup dlq replay --dry-run` prints of it."""
        return verdicts.as_line(self.verdict, place=self.event.letter.position)


async def trials(settings: Settings, events: Resubmissions, now_ms: int) -> list[Trial]:
    """Decide on events as the worker would if they came now, in order; send nothing.

    What is known is what `src_products` holds. Raises ReadError, TopicError.
    """
    rules = rules_of(settings, await check_topics(settings))
    teller = Teller(rules)
    named = {(event.partition, read_key(event.key)) async for event in events()}
    states = await _known(settings, named, rules)
    source = settings.KAFKA_PRODUCT_TOPIC
    async with open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as topic:
        ends = {partition: span.stop for partition, span in topic.spans.items()}
    found = []
    async for event in events():
        record = _Record(ends[event.partition], now_ms, event.key, event.value)
        ends[event.partition] += 1
        (verdict,) = judge([record], event.partition, states, teller)
        found.append(Trial(event, verdict))
    return found


async def _known(
    settings: Settings, named: Collection[tuple[int, int | None]], rules: Rules
) -> StatesInMemory:
    """Return the states of products, each named with its partition."""
    states = StatesInMemory()
    topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
    async with open_topic(settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
        spans = {p: output.spans[p] for p in {partition for partition, _ in named}}
        async for partition, records in output.read(spans):
            for record in records:
                product_id = read_output_key(record.key)
                if product_id is None or (partition, product_id) not in named:
                    continue
                known = states.read(partition, [product_id]).get(product_id)
                found = state_of_record(record, rules.scheme, known)
                if found is not None:
                    states.write(partition, dict([found]))
    return states
