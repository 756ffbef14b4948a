"""The input of a benchmark, and what must come of it."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.contender import Judgement
from dedup.core.codecs import codec_for
from dedup.demo.example import Choice, History, differences
from dedup.entities.product import PRODUCT
from producer.catalog import catalog_item
from producer.events import EventGenerator, GeneratedEvent, Mix
from producer.example import products_with
from producer.kafka import Event, produce
from producer.live import LiveProduct
from producer.settings import ProducerSettings
from tests.support.topics import Records, judge, read_topic

PARTITIONS: Final = 4
_KEYS: Final = codec_for(PRODUCT).keys


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


@dataclass(frozen=True)
class Workload:
    """Events that stand on a topic, the oracle's word on them, and where each of them stands.

    The first `populated` events create one product each and are not measured.
    """

    topic: str
    mix: Mix
    seed: int
    populated: int
    source: Records
    expected: History
    places: Mapping[str, Place]

    @property
    def events(self) -> int:
        """How many there are."""
        return sum(map(len, self.source.values()))

    @property
    def partitions(self) -> int:
        """How many the topic has."""
        return len(self.source)

    @property
    def expected_records(self) -> int:
        """How many records the output has at the end."""
        return sum(map(len, self.expected.values()))

    def describe(self) -> dict[str, Any]:
        """Return what a result file says about the input."""
        values = [len(record.value) for records in self.source.values() for record in records]
        return {
            "events": self.events - self.populated,
            "products_created_before": self.populated,
            "records_emitted": self.expected_records,
            "partitions": self.partitions,
            "bytes_per_event": round(sum(values) / len(values)),
            "seed": self.seed,
            **asdict(self.mix),
        }

    def judged_by(self, choice: Choice) -> "Workload":
        """Return the same events with the word of the oracle of a strategy."""
        emitted = judge(self.source, products_with(choice)).emitted
        return replace(self, expected=emitted)

    @staticmethod
    def content(product: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return content in a form that compares, with decimals as numbers or as text."""
        name, description, price, stock, discount = (product[field] for field in PRODUCT.content)
        return name, description, Decimal(str(price)), stock, Decimal(str(discount))

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
        return self.content(msgspec.json.decode(value)["product"])


class PopulatingGenerator(EventGenerator):
    """Creates every product, one after the other; then goes on with events of the mix."""

    _created = 0

    def __next__(self) -> GeneratedEvent:
        if self._created < self.mix.products:
            self._created += 1
            return self._new()
        return super().__next__()

    def _pick(self) -> LiveProduct:
        if self._created in self._products:
            return super()._pick()
        product = self._products[self._created] = LiveProduct(catalog_item(self._created))
        return product


async def produce_workload(
    servers: str,
    events: int,
    mix: Mix,
    seed: int,
    *,
    partitions: int = PARTITIONS,
    populate: bool = False,
) -> Workload:
    """Put events on a new topic and let the oracle see them."""
    topic = f"products-{uuid.uuid4().hex[:8]}"
    kind = PopulatingGenerator if populate else EventGenerator
    populated = mix.products if populate else 0
    generator = kind(seed, lambda: datetime.now(UTC), mix)
    await fill(servers, topic, islice(generator, populated + events), partitions)
    source = await read_topic(servers, topic, partitions)
    return new_workload(topic, mix, seed, populated, source)


async def fill(
    servers: str, topic: str, events: Iterable[Event], partitions: int = PARTITIONS
) -> None:
    """Make a source topic and put events on it."""
    await make_topics(servers, [topic], partitions, {"cleanup.policy": "delete"})
    await append(servers, topic, events)


async def append(servers: str, topic: str, events: Iterable[Event]) -> None:
    """Put events on a topic."""
    settings = ProducerSettings(KAFKA_BOOTSTRAP_SERVERS=servers, KAFKA_PRODUCT_TOPIC=topic)
    await produce(events, settings)


def new_workload(topic: str, mix: Mix, seed: int, populated: int, source: Records) -> Workload:
    """Let the oracle see the events of a topic, and note their places.

    A late event is one that stands there twice: its place is the first.
    """
    places: dict[str, Place] = {}
    for partition, records in source.items():
        for record in records:
            event_id = msgspec.json.decode(record.value)["event_id"]
            places.setdefault(event_id, Place(partition, record.offset))
    return Workload(topic, mix, seed, populated, source, judge(source).emitted, places)


async def make_topics(
    servers: str, names: Sequence[str], partitions: int, config: Mapping[str, str]
) -> None:
    """Make topics with the same settings."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics(
            [NewTopic(name, partitions, 1, topic_configs=dict(config)) for name in names]
        )
    finally:
        await admin.close()


async def delete_topics(servers: str, prefix: str) -> None:
    """Delete all topics whose names begin so."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.delete_topics([t for t in await admin.list_topics() if t.startswith(prefix)])
    finally:
        await admin.close()


def read_emissions(output: Records) -> list[Emission]:
    """Read the records of an output topic; raises ValueError when one is no row."""
    return [_emission(record) for records in output.values() for record in records]


def _emission(record: Any) -> Emission:
    product_id = _KEYS.read_output(record.key)
    if not isinstance(product_id, int):
        raise ValueError(f"the key {record.key!r} is none of a product")  # noqa: TRY004 - a topic's
    if record.value is None:
        return Emission(product_id, None, None, record.timestamp)
    row = msgspec.json.decode(record.value)
    return Emission(product_id, row["last_event_id"], Workload.content(row), record.timestamp)
