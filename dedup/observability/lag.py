"""The lag of a worker, as the brokers report the source topic and the group.

The numbers are the brokers' own, not the worker's: the last stable offset, up to which records can
be read, minus the committed offset. Where no transaction is open this is what
`kafka-consumer-groups.sh` computes. Records in or behind an open transaction can't be read yet and
do not count.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic, time
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from dedup.kafka.consumer import committed_consumer, log_end_consumer
from dedup.kafka.offsets import committed_by
from dedup.kafka.unread_records import unread_records
from dedup.observability.ages import Arrivals, believable_age
from dedup.settings import Settings

FIRST_RECORD_WITHIN_S: Final = 1.0
_POLL_MS: Final = 100


@dataclass(frozen=True, slots=True)
class Lag:
    """A partition of the source topic: its end, what is committed (None: nothing), the distance.

    `seconds` is how long the first record that is not committed has waited, `held_back_s` how long
    the end has been that of an open transaction, with records behind it that can't be read yet.
    Records before `start` are deleted.
    """

    end: int
    committed: int | None
    records: int
    seconds: float
    held_back_s: float = 0.0
    start: int = 0


class LagReader:
    """Reads the lag from the brokers, with a consumer of its own that never joins the group.

    How long a record has waited follows from when it was first seen in the partition, exact to the
    time between two reads. The timestamp is used only for records older than the first read.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.KAFKA_PRODUCT_TOPIC
        self._consumers: tuple[AIOKafkaConsumer, AIOKafkaConsumer] | None = None
        self._held: dict[TopicPartition, tuple[int, float]] = {}
        """Of partitions with an open transaction, its offset and since when it is seen open."""

        self._arrivals: dict[int, Arrivals] = {}

    async def read(self, partitions: Collection[int]) -> dict[int, Lag]:
        """Return the lag of these partitions now. Raises KafkaError when the brokers are away."""
        self._arrivals = {p: self._arrivals.get(p) or Arrivals() for p in partitions}
        tps = [TopicPartition(self._topic, partition) for partition in sorted(partitions)]
        consumer, log_end_reader = await self._connected()
        if not tps:
            await consumer.topics()  # so that the brokers are asked in any case
            return {}
        if consumer.assignment() != set(tps):
            consumer.assign(tps)
            consumer.pause(*tps)
        committed = await committed_by(consumer, tps)
        ends = await consumer.end_offsets(tps)  # after: an end is never behind what is committed
        held = self._held_back(ends, await log_end_reader.end_offsets(tps))
        begins = await consumer.beginning_offsets(tps)
        starts = begins | committed
        waited = await self._waited(consumer, starts, ends)
        return {
            tp.partition: Lag(
                ends[tp],
                committed.get(tp),
                max(0, ends[tp] - starts[tp]),
                waited[tp],
                held[tp],
                begins[tp],
            )
            for tp in tps
        }

    def _held_back(
        self, ends: Mapping[TopicPartition, int], log_ends: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, float]:
        """Return how long the same transaction has been open in each partition."""
        now, before = monotonic(), self._held
        self._held = {
            tp: before[tp] if tp in before and before[tp][0] == end else (end, now)
            for tp, end in ends.items()
            if log_ends[tp] > end
        }
        return {tp: now - self._held[tp][1] if tp in self._held else 0.0 for tp in ends}

    async def _waited(
        self,
        consumer: AIOKafkaConsumer,
        starts: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
    ) -> dict[TopicPartition, float]:
        """Return how long the first record from an offset on of each partition has waited."""
        waited: dict[TopicPartition, float] = {}
        unseen: dict[TopicPartition, int] = {}
        for tp, start in starts.items():
            arrivals = self._arrivals[tp.partition]
            arrivals.note(ends[tp], monotonic())
            waited[tp], at_most = arrivals.waited(start, monotonic())
            if at_most is None and start < ends[tp]:
                unseen[tp] = start
        for tp, timestamp_ms in (await _first_timestamps(consumer, unseen, ends)).items():
            waited[tp] = max(waited[tp], believable_age(timestamp_ms, time()) or 0.0)
        return waited

    async def _connected(self) -> tuple[AIOKafkaConsumer, AIOKafkaConsumer]:
        if self._consumers is None:
            consumer = committed_consumer(
                self._settings,
                group_id=self._settings.DEDUP_APP_ID,
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=64 * 1024,
            )
            both = consumer, log_end_consumer(self._settings)
            try:
                for each in both:
                    await each.start()
            except BaseException:
                await _stop(both)
                raise
            self._consumers = both
        return self._consumers

    async def close(self) -> None:
        """Disconnect; `read` connects again."""
        consumers, self._consumers = self._consumers, None
        await _stop(consumers or ())


async def _stop(consumers: Iterable[AIOKafkaConsumer]) -> None:
    for consumer in consumers:
        await consumer.stop()


async def _first_timestamps(
    consumer: AIOKafkaConsumer,
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> dict[TopicPartition, int]:
    """Return the timestamps of the first record of each partition from an offset on.

    Omitted are a record that does not arrive in time, and a partition without records up to its
    end: it has only aborted ones and transaction markers. The partitions are paused before and
    after.
    """
    found: dict[TopicPartition, int] = {}
    for tp, offset in starts.items():
        consumer.seek(tp, offset)
        consumer.resume(tp)
    left = set(starts)
    give_up_at = monotonic() + FIRST_RECORD_WITHIN_S
    while left and monotonic() < give_up_at:
        come = await consumer.getmany(*left, timeout_ms=_POLL_MS, max_records=1)
        found |= {tp: records[0].timestamp for tp, records in come.items()}
        for tp in list(left):
            if tp in come or await consumer.position(tp) >= ends[tp]:
                left.remove(tp)
                consumer.pause(tp)
                _release_the_rest(consumer, tp)
    consumer.pause(*left)
    return found


def _release_the_rest(consumer: AIOKafkaConsumer, tp: TopicPartition) -> None:
    """Free what was fetched beside the first record: up to a megabyte, once a batch is that large.

    aiokafka's `PartitionRecords` and its generator refer to each other until that is used up.
    """
    unread = unread_records(consumer._fetcher, tp)
    if unread is not None and unread._records_iterator is not None:
        unread._records_iterator.close()
