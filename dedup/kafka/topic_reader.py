"""Reads a topic without joining a group: as it stands now, chosen stretches, or what comes."""

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
"""Seconds without any record after which reading is given up."""

_FETCH_BYTES: Final = 4 * 1024 * 1024
_POLL_MS: Final = 200

Spans = Mapping[int, range]
"""The offsets of each partition to read."""

Batches = AsyncIterator[tuple[int, list[Any]]]
"""A partition and some of its records, in order."""


class ReadError(ExplainedError):
    """A topic can't be read or written; the text is a sentence."""


class BrokersSilentError(ReadError):
    """The brokers do not let a topic be read now; waiting may mend it."""


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
            f"{settings.KAFKA_BOOTSTRAP_SERVERS}. `dedup topics create` makes it; the worker does "
            "too when it starts."
        )
    return len(described["partitions"])


class TopicReader:
    """A topic, open for reading. `open_topic` makes one."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, spans: Spans) -> None:
        self._consumer = consumer
        self._topic = topic
        self.spans = spans
        """What stood on the topic when it was opened."""

    async def read(self, spans: Spans | None = None) -> Batches:
        """Return the records in these spans, by default all; a partition's are in order.

        What is no longer there, or was not yet when the topic was opened, is left out.
        """
        ends = self._seek(self.spans if spans is None else spans)
        read_last = asyncio.get_running_loop().time()
        while ends:
            found = await self._consumer.getmany(*ends, timeout_ms=_POLL_MS)
            for tp, records in found.items():
                yield tp.partition, [r for r in records if r.offset < ends[tp]]
            ends = {tp: end for tp, end in ends.items() if await self._consumer.position(tp) < end}
            now = asyncio.get_running_loop().time()
            if found:
                read_last = now
            elif now - read_last > STALLED_AFTER_S:
                raise ReadError(
                    f"The brokers have sent nothing of {self._topic} for {STALLED_AFTER_S:.0f} s. "
                    "Try again once all of its partitions have a leader."
                )

    async def follow(self, starts: Mapping[int, int]) -> Batches:
        """Return the records of these partitions from an offset each on, and those to come."""
        for partition, start in starts.items():
            self._consumer.seek(TopicPartition(self._topic, partition), start)
        while True:
            found = await self._consumer.getmany(timeout_ms=_POLL_MS)
            for tp, records in found.items():
                yield tp.partition, records

    def _seek(self, spans: Spans) -> dict[TopicPartition, int]:
        """Go to the begin of every span that holds anything; give the ends."""
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
    settings: Settings, topic: str, setting: str, *, rights: str = ""
) -> AsyncIterator[TopicReader]:
    """Open the topic that a setting names; committed records are read, and no offset is committed.

    Raises ReadError; so does what Kafka refuses inside the block. `rights` says what the user needs
    beside the right to read the topic.
    """
    fault = await connection_fault(settings)
    if fault is not None:
        raise (ReadError if fault.lasting else BrokersSilentError)(fault.sentence)
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
            f"{error!r}. The user must be allowed to read {topic}{rights}."
        ) from error
