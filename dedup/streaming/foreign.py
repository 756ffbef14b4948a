"""Finds records on `src_products` that another program wrote: another group, a Flink job.

Between two writes of a partition's owner there is one transaction marker and nothing else. Where
the second write starts at a later offset, that gap is read a little later, committed records only:
what the owner aborted is not returned, so every record that is returned is foreign. A fenced worker
of the same group can commit nothing once recovery has started, and recovery has read what it wrote
before.

An event costs nothing, a batch two look-ups, and nothing is read while there is no gap.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service, get_logger

from dedup.kafka.consumer import committed_consumer
from dedup.kafka.topic_reader import read_to
from dedup.observability.metrics import Metrics
from dedup.settings import Settings

EVERY_S: Final = 3.0
GAPS_KEPT: Final = 20
"""Gaps that wait to be read; older ones are dropped: one is enough."""

READ_AT_MOST: Final = 1_000
"""Offsets of a gap that are read."""

QUIET_S: Final = 600.0
"""How long no foreign record may be found before the next one is logged again."""

TRANSACTION_MARKER: Final = 1
GIVE_UP_AFTER_S: Final = 10.0
_POLL_MS: Final = 500

logger = get_logger(__name__)


class Gap(NamedTuple):
    """Offsets of a partition that this worker did not write."""

    partition: int
    start: int
    stop: int


class ForeignRecords(Service):
    """Counts foreign records, and warns of them once per partition and episode."""

    def __init__(self, settings: Settings, metrics: Metrics, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._metrics = metrics
        self._expected: dict[int, int] = {}
        self._gaps: deque[Gap] = deque(maxlen=GAPS_KEPT)
        self._found_at: dict[int, float] = {}

    def expect(self, next_offsets: Mapping[int, int]) -> None:
        """Start over with the partitions of an assignment, and where recovery read them to."""
        self._expected = dict(next_offsets)
        self._gaps.clear()

    def note_written(self, partition: int, records: int, next_offset: int | None) -> None:
        """Note what this worker wrote: so many records, up to this offset; None: it is not known.

        The offset is unknown where the response to a commit was lost: then nothing is expected
        until the next write.
        """
        if next_offset is None:
            self._expected.pop(partition, None)
            return
        start, expected = next_offset - records, self._expected.get(partition)
        self._expected[partition] = next_offset + TRANSACTION_MARKER
        if expected is not None and start > expected:
            self._gaps.append(Gap(partition, expected, start))

    @Service.task
    async def _look_again_and_again(self) -> None:
        while not self.should_stop:
            await self.sleep(EVERY_S)
            if not self._gaps:
                continue
            try:
                await self._look()
            except (KafkaError, OSError) as error:
                self.log.info("Foreign records on the output topic can't be read: %r", error)

    async def _look(self) -> None:
        """Read the gaps, the newest first, as many as are there now."""
        consumer = committed_consumer(self._settings, auto_offset_reset="earliest")
        await consumer.start()
        try:
            for _ in range(len(self._gaps)):
                if not self._gaps:
                    return  # there was a rebalance
                gap = self._gaps.pop()
                self._report(gap, await self._read(consumer, gap))
        finally:
            await consumer.stop()

    async def _read(
        self, consumer: AIOKafkaConsumer, gap: Gap
    ) -> list[ConsumerRecord[bytes | None, bytes | None]]:
        tp = TopicPartition(self._settings.KAFKA_SRC_PRODUCTS_TOPIC, gap.partition)
        stop = min(gap.stop, gap.start + READ_AT_MOST)
        consumer.assign([tp])
        consumer.seek(tp, gap.start)
        found: list[ConsumerRecord[bytes | None, bytes | None]] = []
        with suppress(TimeoutError):  # what was read by then counts
            async with asyncio.timeout(GIVE_UP_AFTER_S):
                async for _, records in read_to(consumer, {tp: stop}):
                    found += [record for record in records if gap.start <= record.offset]
        return found

    def _report(self, gap: Gap, found: list[ConsumerRecord[bytes | None, bytes | None]]) -> None:
        if not found:
            return
        self._metrics.foreign_records.inc(len(found))
        now, settings = monotonic(), self._settings
        before = self._found_at.get(gap.partition)
        self._found_at[gap.partition] = now
        if before is not None and now - before < QUIET_S:
            return
        example = found[0]
        logger.warning(
            "%s-%s has %s or more records that this worker did not write, such as offset %s with "
            "the key %r. Another DEDUP_APP_ID than %s, a Flink job or another program writes to "
            "it, so changes may be duplicated. Only one group may write to a topic: stop the "
            "other, or give it a KAFKA_SRC_PRODUCTS_TOPIC of its own.",
            settings.KAFKA_SRC_PRODUCTS_TOPIC,
            gap.partition,
            len(found),
            example.offset,
            example.key,
            settings.DEDUP_APP_ID,
        )
