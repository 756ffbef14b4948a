"""The sink's loop: reads committed rows of the output topic, which are written in batches.

*Guarantees.* The offsets table says where to continue, never the committed offsets of the group:
those only serve to monitor the lag. The consumer seeks to the offset in the table when a partition
is assigned, after an outage of PostgreSQL, and if another sink has applied a batch. See
`dedup.sink.database` for why a record takes effect exactly once, and `dedup.sink.writing` for how
reading and writing overlap.
"""

import asyncio
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError
from psycopg import Error

from dedup.core.keys import Id
from dedup.kafka.broker_errors import brokers_away, refusal
from dedup.kafka.consumer import committed_consumer
from dedup.kafka.patience import Patience
from dedup.kafka.topic_identity import topic_id_of
from dedup.kafka.topics import StatesTopic, describe_states_topic
from dedup.sink.connecting import Connecting, SinkError, new_connection_cures, refused
from dedup.sink.database import AppliedOffset, OffsetRange
from dedup.sink.group_check import check_sink_group
from dedup.sink.metrics import SinkMetrics
from dedup.sink.progress import Progress
from dedup.sink.reading import RowReader, Values
from dedup.sink.rebalances import Forgetting
from dedup.sink.settings import SinkSettings
from dedup.sink.writing import Writer

READ_RECORDS: Final = 1_000
"""Maximum number of records read at once: the event loop does nothing else meanwhile."""

POLL_MS: Final = 500
READ_AGAIN_S: Final = 60.0
"""How often `read_at` of an idle partition is updated."""

PAUSE_S: Final = 0.2

_FETCH_BYTES: Final = 4 * 1024 * 1024

logger = logging.getLogger(__name__)


async def run_sink(settings: SinkSettings, *, rebuild: bool = False, once: bool = False) -> None:
    """Keep the table up to date until cancelled; with `once`, up to the current end of the topic.

    Raises SinkError, TopicError for a topic that can't be read, SettingsError for a port in use.
    """
    topic = await describe_states_topic(settings)
    await check_sink_group(settings)
    metrics = SinkMetrics()
    with metrics.served(settings):
        connecting = Connecting(settings, metrics)
        await connecting.prepare_tables(rebuild=rebuild)
        await _follow(settings, topic, connecting, metrics, once=once)


async def _follow(
    settings: SinkSettings,
    topic: StatesTopic,
    connecting: Connecting,
    metrics: SinkMetrics,
    *,
    once: bool,
) -> None:
    consumer = committed_consumer(
        settings,
        group_id=settings.SINK_GROUP,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    sink = Sink(settings, consumer, connecting, topic, metrics)
    consumer.subscribe([settings.KAFKA_SRC_PRODUCTS_TOPIC], listener=sink.rebalances)
    try:
        await _start(consumer)
        watching = asyncio.ensure_future(sink.progress.watch())
        try:
            await sink.run(once=once)
        finally:
            watching.cancel()
    except KafkaError as error:
        raise SinkError(
            f"{settings.KAFKA_SRC_PRODUCTS_TOPIC} can't be read: "
            f"{refusal(error, settings, permission='READ')}"
        ) from error
    finally:
        await consumer.stop()
        await sink.close()


async def _start(consumer: AIOKafkaConsumer) -> None:
    """Start the consumer; retry if the brokers became unavailable since the topic was checked."""
    patience = Patience("The sink", logger)
    while True:
        try:
            await consumer.start()
        except KafkaConnectionError as error:
            await patience.wait(error)
        else:
            return patience.over()


class Sink:
    """Applies what a consumer reads. `rebalances` must be the listener of its subscription."""

    def __init__(
        self,
        settings: SinkSettings,
        consumer: AIOKafkaConsumer,
        connecting: Connecting,
        topic: StatesTopic,
        metrics: SinkMetrics,
    ) -> None:
        self._settings = settings
        self._name = settings.KAFKA_SRC_PRODUCTS_TOPIC
        self._reader = RowReader(settings.entity)
        self._consumer = consumer
        self._connecting = connecting
        self._topic = topic
        self.progress = Progress(self._name, consumer, metrics)
        self._next: dict[int, int] = {}
        """The offset at which reading continues, for each partition that was sought."""
        self._writer = Writer(topic.topic_id, connecting, self.progress, self._next)
        self.rebalances = Forgetting(self._next)

    async def run(self, *, once: bool) -> None:
        """Read and apply until cancelled or, with `once`, up to the end."""
        loop = asyncio.get_running_loop()
        read_again_at = loop.time() + READ_AGAIN_S
        patience = Patience("The sink", logger, give_up_after_s=math.inf)
        ends: dict[TopicPartition, int] | None = None
        while True:
            try:
                if once and ends is None:
                    ends = await self._ends()
                await self._place()
                await self._read()
                if loop.time() >= read_again_at:
                    await self._note_quiet()
                    read_again_at = loop.time() + READ_AGAIN_S
                patience.over()
                if ends is not None and await self._reached(ends):
                    await self._writer.settled()
                    if await self._reached(ends):  # else another sink was ahead
                        return
            except Error as error:
                if not new_connection_cures(error):
                    raise SinkError(refused(error, self._settings.POSTGRES_TABLE)) from error
                await self._lost(error)
            except KafkaError as error:
                if not brokers_away(error):
                    raise
                await patience.wait(error)

    async def _read(self) -> None:
        """Hand the next records to the writer."""
        found = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=READ_RECORDS)
        self._take(found)
        await asyncio.sleep(0)  # getmany does not yield to the writer while records are available
        await self._writer.room()
        if self._writer.idle:
            self.progress.applied(await self.progress.read(self._next))

    async def close(self) -> None:
        """Roll back what is not committed, and close the connection to PostgreSQL."""
        await self._writer.close()

    async def _lost(self, error: Error) -> None:
        """Drop the connection; the offsets table tells whether the last commit took place."""
        self._connecting.lost(error)
        self._next.clear()
        await self._writer.close()
        await asyncio.sleep(PAUSE_S)

    async def _place(self) -> None:
        """Seek to the offset in the offsets table, in every newly assigned partition."""
        new = {tp for tp in self._consumer.assignment() if tp.partition not in self._next}
        if not new:
            return
        await self._writer.settled()
        database = await self._writer.connected()
        topic_id = await topic_id_of(self._consumer._client, self._name)  # noqa: SLF001
        if topic_id is None:
            return  # the topic is being recreated, or has no leader
        self._writer.topic_id = topic_id
        places = await database.positions([tp.partition for tp in new], topic_id)
        self._connecting.works()
        ends = await self._consumer.end_offsets(new)
        for tp in sorted(new & self._consumer.assignment()):
            self._check(tp.partition, places[tp.partition], ends[tp])
            self._consumer.seek(tp, places[tp.partition].next_offset)
            self._next[tp.partition] = places[tp.partition].next_offset
        logger.info(
            "Reading from: %s",
            ", ".join(f"{self._name}-{p} at {offset}" for p, offset in sorted(self._next.items())),
        )

    def _check(self, partition: int, place: AppliedOffset, end: int) -> None:
        """Raise SinkError if the table can no longer be made equal to the topic."""
        table = self._settings.POSTGRES_TABLE
        cure = f"Start once with --rebuild, which empties {table} and fills it from the topic."
        if place.topic_id != self._writer.topic_id or place.next_offset > end:
            raise SinkError(
                f"{self._name} is not the topic that {table} was filled from: it was recreated, or "
                f"has lost records. {cure}"
            )
        kept_ms = self._topic.delete_retention_ms
        age_ms = place.age.total_seconds() * 1000
        if 0 < place.next_offset < end and age_ms > kept_ms:
            raise SinkError(
                f"{self._name}-{partition} was last read {place.age} ago, and tombstones are kept "
                f"for delete.retention.ms={kept_ms}: deletes may be missed. {cure}"
            )

    def _take(self, found: Mapping[TopicPartition, list[ConsumerRecord]]) -> None:
        for tp, records in found.items():
            begin = self._next.get(tp.partition)
            if begin is None:
                continue  # assigned a moment ago: read again after the seek
            if records[0].offset < begin:
                self._next.pop(tp.partition)  # the consumer reset its position: seek again
                continue
            end = self._next[tp.partition] = records[-1].offset + 1
            self._writer.add({tp.partition: OffsetRange(begin, end)}, self._rows(records))

    def _rows(self, records: Sequence[ConsumerRecord]) -> dict[Id, Values | None]:
        """Return the last row of each id in the records, or None if it was deleted."""
        rows: dict[Id, Values | None] = {}
        for record, read in zip(records, self._reader.read_all(records), strict=True):
            if read is None:
                self.progress.skipped()
                where = f"{record.topic}-{record.partition} offset {record.offset}"
                name = self._settings.entity.name
                logger.warning("%s is not a row of entity %s; it is skipped.", where, name)
            else:
                rows[read[0]] = read[1]
        return rows

    async def _note_quiet(self) -> None:
        """Update `read_at` of idle partitions that are read to their end."""
        ends = await self._ends()
        quiet = {
            p: OffsetRange(offset, offset)
            for p, offset in self._next.items()
            if await self._at_end(TopicPartition(self._name, p), ends)
        }
        if quiet:
            self._writer.add(quiet, {})

    async def _ends(self) -> dict[TopicPartition, int]:
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(
            self._consumer.assignment()
        )
        return ends

    async def _reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        ours: Iterable[TopicPartition] = ends.keys() & self._consumer.assignment()
        return all([await self._at_end(tp, ends) for tp in ours])

    async def _at_end(self, tp: TopicPartition, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether all before an end is applied; transaction markers may follow the last record."""
        if tp.partition not in self._next or tp not in ends:
            return False
        return bool(await self._consumer.position(tp) >= ends[tp])
