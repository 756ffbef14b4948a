"""Reads a topic without joining a group: up to its end, chosen spans, or on and on."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from dedup.core.errors import ExplainedError
from dedup.kafka.broker_errors import brokers_away
from dedup.kafka.connecting import connection_fault
from dedup.kafka.consumer import committed_consumer
from dedup.kafka.diagnosis import diagnose
from dedup.settings import Settings

STALLED_AFTER_S: Final = 30.0
"""Seconds without progress in any partition after which reading is given up."""

_FETCH_BYTES: Final = 4 * 1024 * 1024
_POLL_MS: Final = 200

Spans = Mapping[int, range]
"""The offsets of each partition to read."""

Batches = AsyncIterator[tuple[int, list[Any]]]
"""A partition and some of its records, in order."""


class ReadError(ExplainedError):
    """A topic can't be read or written; the text says why, and the cure."""


class BrokersSilentError(ReadError):
    """The brokers can't serve a topic for now; a retry may help."""


async def partition_count(settings: Settings, topic: str, setting: str) -> int:
    """Return the partitions of a topic that a setting names. Raises ReadError if it is missing."""
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    try:
        await admin.start()
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    if described["error_code"] != 0:
        raise ReadError(
            f"There is no topic {setting}={topic} at KAFKA_BOOTSTRAP_SERVERS="
            f"{settings.KAFKA_BOOTSTRAP_SERVERS}. `dedup topics create` creates it; so does "
            "the worker when it starts."
        )
    return len(described["partitions"])


async def read_to(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]
) -> AsyncIterator[tuple[TopicPartition, list[Any]]]:
    """Return the records of each partition from the consumer's position up to an end, in order.

    Raises TimeoutError when no partition advances for `STALLED_AFTER_S`.
    """
    positions = {tp: await consumer.position(tp) for tp in ends}
    left = {tp: ends[tp] for tp, position in positions.items() if position < ends[tp]}
    clock = asyncio.get_running_loop().time
    advanced_at = clock()
    while left:
        found = await consumer.getmany(*left, timeout_ms=_POLL_MS)
        for tp, records in found.items():
            yield tp, [record for record in records if record.offset < left[tp]]
        before = {tp: positions[tp] for tp in left}
        positions = {tp: await consumer.position(tp) for tp in left}
        left = {tp: end for tp, end in left.items() if positions[tp] < end}
        if positions != before:
            advanced_at = clock()
        elif clock() - advanced_at > STALLED_AFTER_S:
            raise TimeoutError(f"nothing in {STALLED_AFTER_S:.0f} s")


class TopicReader:
    """A topic, open for reading. `open_topic` makes one."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, spans: Spans) -> None:
        self._consumer = consumer
        self._topic = topic
        self.spans = spans
        """What was on the topic when it was opened."""

    async def read(self, spans: Spans | None = None) -> Batches:
        """Return the records in these spans, by default all; a partition's are in order.

        What was deleted, or was written after the topic was opened, is left out.
        """
        ends = self._seek(self.spans if spans is None else spans)
        try:
            async for tp, records in read_to(self._consumer, ends):
                yield tp.partition, records
        except TimeoutError as error:
            raise ReadError(
                f"The brokers have sent nothing of {self._topic} for {STALLED_AFTER_S:.0f} s. "
                "Try again once all of its partitions have a leader."
            ) from error

    async def follow(self, starts: Mapping[int, int]) -> Batches:
        """Return the records of each partition from an offset on, and new ones as they come."""
        for partition, start in starts.items():
            self._consumer.seek(TopicPartition(self._topic, partition), start)
        while True:
            found = await self._consumer.getmany(timeout_ms=_POLL_MS)
            for tp, records in found.items():
                yield tp.partition, records

    def _seek(self, spans: Spans) -> dict[TopicPartition, int]:
        """Seek to the begin of every span that is not empty; return the ends."""
        ends = {}
        for partition, wanted in spans.items():
            there = self.spans.get(partition, range(0))
            span = range(max(wanted.start, there.start), min(wanted.stop, there.stop))
            if span:
                tp = TopicPartition(self._topic, partition)
                ends[tp] = span.stop
                self._consumer.seek(tp, span.start)
        return ends


@asynccontextmanager
async def open_topic(
    settings: Settings, topic: str, setting: str, *, permissions: str = ""
) -> AsyncIterator[TopicReader]:
    """Open the topic that a setting names; committed records are read, and no offset is committed.

    Raises ReadError, also for what Kafka refuses inside the block. `permissions` says what the user
    needs besides the permission to read the topic.
    """
    fault = await connection_fault(settings)
    if fault is not None:
        raise (ReadError if fault.lasting else BrokersSilentError)(fault.message)
    try:
        count = await partition_count(settings, topic, setting)
        consumer = committed_consumer(
            settings, auto_offset_reset="earliest", max_partition_fetch_bytes=_FETCH_BYTES
        )
        async with consumer:
            partitions = [TopicPartition(topic, number) for number in range(count)]
            consumer.assign(partitions)
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            spans = {tp.partition: range(begins[tp], ends[tp]) for tp in partitions}
            yield TopicReader(consumer, topic, spans)
    except KafkaError as error:
        if brokers_away(error):
            found = await diagnose(settings, [topic])
            raise BrokersSilentError(
                found or f"{topic} can't be read now: {error!r}. Try again."
            ) from error
        raise ReadError(
            f"Kafka refused at KAFKA_BOOTSTRAP_SERVERS={settings.KAFKA_BOOTSTRAP_SERVERS}: "
            f"{error!r}. The user must be allowed to read {topic}{permissions}."
        ) from error
