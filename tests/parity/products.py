"""The events of products for the parity suite."""

from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

from dedup.core.keys import Id
from dedup.entities.resolve import DEFAULT
from producer.events import EventGenerator, Mix
from tests.parity.cases import CASES, KNOWN_DIFFERENCES, named_cases
from tests.parity.suite import Engines, Events
from tests.parity.walks import PRODUCTS, interleaved, walk
from tests.support.topics import emissions, judge, read_topic

MIX: Final = Mix(products=1_000, late=0.05, deletes=0.03, invalid=0.02)
FIRST_CASE: Final = 10_001
FIRST_WALK: Final = 100_001


class ProductEngines(Engines):
    """The engines on products, whose output an oracle judges too."""

    def __init__(self, kafka: str, directory: Path, events: Events) -> None:
        super().__init__(kafka, directory, events, DEFAULT)
        self._kafka_of_oracle = kafka

    async def judged(self) -> list[str]:
        """Let the worker do everything; say where the oracle disagrees."""
        output = await self.run_worker()
        oracle = judge(await read_topic(self._kafka_of_oracle, self.names.source))
        agrees = oracle.emitted == emissions(output)
        return [] if agrees else ["the worker's output is not what the oracle expects"]


def known_differences() -> Events:
    """Return the events of the documented differences."""
    cases = named_cases(KNOWN_DIFFERENCES, FIRST_CASE)
    events = [event for _, events in cases.values() for event in events]
    return Events(events, {product_id: name for product_id, (name, _) in cases.items()}, 0)


def make_events(seed: int, walks: int, generated: int) -> Events:
    """Return the named cases, random walks and events of the producer, mixed into one stream."""
    random = Random(seed)
    cases = named_cases(CASES, FIRST_CASE)
    generator = EventGenerator(seed, lambda: datetime(2026, 1, 1, tzinfo=UTC), MIX)
    histories = [
        *(events for _, events in cases.values()),
        *(walk(random, FIRST_WALK + PRODUCTS * number) for number in range(walks)),
        [(event.key, event.value) for event in islice(generator, generated)],
    ]
    names: dict[Id, str] = {product_id: name for product_id, (name, _) in cases.items()}
    return Events(interleaved(random, histories), names, walks)
