"""The input of a benchmark, and what must come of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final, NamedTuple

import orjson

from benchmarks.contender import Judgement
from dedup.core.event import CONTENT_FIELDS
from dedup.core.row import read_output_key
from dedup.oracle import History, differences
from producer.events import EventGenerator, Mix
from producer.kafka import produce
from producer.settings import KafkaSettings
from tests.workers import Records, judge, read_topic

SOURCE: Final = "products"
PARTITIONS: Final = 4


class Emission(NamedTuple):
    """A record of the output: its product, the event it names, its content, and its time.

    `event_id` and `content` are None for a tombstone. `stamp_ms` is when the broker appended it.
    """

    product_id: int
    event_id: str | None
    content: tuple[Any, ...] | None
    stamp_ms: int


class Place(NamedTuple):
    """Where an event stands on the source topic."""

    partition: int
    offset: int


def _content(product: Mapping[str, Any]) -> tuple[Any, ...]:
    """Give content in a form that compares, whoever wrote it: decimals as numbers or as text."""
    name, description, price, stock, discount = (product[field] for field in CONTENT_FIELDS)
    return name, description, Decimal(str(price)), stock, Decimal(str(discount))


@dataclass(frozen=True)
class Workload:
    """Events that stand on `products`, the oracle's word on them, and where each event stands."""

    mix: Mix
    seed: int
    source: Records
    expected: History
    places: Mapping[str, Place]

    @property
    def events(self) -> int:
        """How many there are."""
        return sum(map(len, self.source.values()))

    @property
    def expected_records(self) -> int:
        """How many records the output has at the end."""
        return sum(map(len, self.expected.values()))

    def describe(self) -> dict[str, Any]:
        """Give what a result file says about the input."""
        values = [len(record.value) for records in self.source.values() for record in records]
        return {
            "events": self.events,
            "emitted": self.expected_records,
            "partitions": PARTITIONS,
            "bytes_per_event": round(sum(values) / len(values)),
            "seed": self.seed,
            **asdict(self.mix),
        }

    def faults(self, emissions: list[Emission], judgement: Judgement) -> list[str]:
        """Say what is wrong with an output; empty when it is what the oracle says."""
        if judgement is Judgement.EVERY_EVENT:
            missing = len(self.places.keys() - {emission.event_id for emission in emissions})
            return [f"{missing} events are missing"] if missing else []
        found = self._wrong_rows(emissions)
        emitted: History = {}
        for emission in emissions:
            emitted.setdefault(emission.product_id, []).append(emission.event_id)
        if judgement is Judgement.SEQUENCE:
            return found + differences(self.expected, emitted)
        return found + self._wrong_states(emitted)

    def _wrong_rows(self, emissions: list[Emission]) -> list[str]:
        """Hold each row against the event it names."""
        return [
            f"the row of event {emission.event_id} has {emission.content}"
            for emission in emissions
            if emission.event_id is not None
            and (
                emission.event_id not in self.places
                or emission.content != self._content_of(emission.event_id)
            )
        ]

    def _wrong_states(self, emitted: History) -> list[str]:
        """Hold the last state of each product against the oracle's, by content."""
        found = []
        for product_id in self.expected.keys() | emitted.keys():
            wanted = (self.expected.get(product_id) or [None])[-1]
            got = (emitted.get(product_id) or [None])[-1]
            alike = wanted == got or (
                wanted is not None
                and got is not None
                and self._content_of(wanted) == self._content_of(got)
            )
            if not alike:
                found.append(f"product {product_id}: expected {wanted} at the end, found {got}")
        return found

    def _content_of(self, event_id: str) -> tuple[Any, ...]:
        place = self.places[event_id]
        value = self.source[place.partition][place.offset].value
        return _content(orjson.loads(value)["product"])


async def produce_workload(servers: str, events: int, mix: Mix, seed: int) -> Workload:
    """Put events on `products` and let the oracle see them."""
    generator = EventGenerator(seed, lambda: datetime.now(UTC), mix)
    settings = KafkaSettings(KAFKA_BOOTSTRAP_SERVERS=servers, KAFKA_PRODUCT_TOPIC=SOURCE)
    await produce(islice(generator, events), settings)
    source = await read_topic(servers, SOURCE)
    places: dict[str, Place] = {}
    for partition, records in source.items():
        for record in records:
            event_id = orjson.loads(record.value)["event_id"]
            places.setdefault(event_id, Place(partition, record.offset))
    return Workload(mix, seed, source, judge(source).emitted, places)


def read_emissions(output: Records) -> list[Emission]:
    """Read the records of an output topic; raises ValueError when one is no row."""
    return [_emission(record) for records in output.values() for record in records]


def _emission(record: Any) -> Emission:
    product_id = read_output_key(record.key)
    if product_id is None:
        raise ValueError(f"the key {record.key!r} is none of a product")
    if record.value is None:
        return Emission(product_id, None, None, record.timestamp)
    row = orjson.loads(record.value)
    return Emission(product_id, row["last_event_id"], _content(row), record.timestamp)
