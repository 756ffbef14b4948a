"""The progress of a sink: metrics, and log lines while it catches up."""

import asyncio
import logging
from collections.abc import Container, Mapping
from time import monotonic, time
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from dedup.core.keys import Id
from dedup.sink.database import OffsetRange
from dedup.sink.metrics import SinkMetrics

ASK_EVERY_S: Final = 5.0
BEHIND_RECORDS: Final = 10_000
"""Lag from which the log says that the sink is catching up: one batch."""

logger = logging.getLogger(__name__)


class ReadUpTo(NamedTuple):
    """How far the topic was read at a time: the position of each partition."""

    time: float
    positions: dict[int, int]


class Progress:
    """Tracks what was applied, and the lag according to the brokers."""

    def __init__(self, topic: str, consumer: AIOKafkaConsumer, metrics: SinkMetrics) -> None:
        self._topic = topic
        self._consumer = consumer
        self._metrics = metrics
        self._rows = 0
        self._catching_up: tuple[float, int] | None = None
        self.positions: dict[int, int] = {}
        """The position up to which everything is applied, by partition."""

    def wrote(self, rows: Mapping[Id, object | None]) -> None:
        """Count the rows of a committed batch; None is a deleted row."""
        deleted = sum(row is None for row in rows.values())
        self._rows += len(rows)
        self._metrics.rows.labels("upsert").inc(len(rows) - deleted)
        self._metrics.rows.labels("delete").inc(deleted)

    def skipped(self) -> None:
        """Count a record that is not a row of the entity."""
        self._metrics.skipped_records.inc()

    async def read(self, partitions: Container[int]) -> ReadUpTo:
        """Return how far these partitions are read."""
        now = time()
        assigned = [tp for tp in self._consumer.assignment() if tp.partition in partitions]
        return ReadUpTo(now, {tp.partition: await self._consumer.position(tp) for tp in assigned})

    def applied(self, read: ReadUpTo) -> None:
        """Record that everything that was read then is applied."""
        self.positions = read.positions
        self._metrics.last_applied.set(read.time)

    async def commit(self, chunks: Mapping[int, OffsetRange]) -> None:
        """Commit the applied offsets to the group, so that its lag can be monitored."""
        applied = {TopicPartition(self._topic, p): chunk.next_offset for p, chunk in chunks.items()}
        try:
            await self._consumer.commit(applied)
        except (CommitFailedError, IllegalStateError):
            logger.debug("A rebalance is in progress; the next owner commits.")

    async def watch(self) -> None:
        """Query the lag from the brokers every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(ASK_EVERY_S)
            try:
                ends = await self._consumer.end_offsets(self._consumer.assignment())
            except KafkaError:
                continue  # the sink's loop logs it
            self._metrics.lag_records.clear()
            left = {tp.partition: self._left(tp.partition, end) for tp, end in ends.items()}
            for partition, records in left.items():
                self._metrics.lag_records.labels(partition).set(records)
            self._log(sum(left.values()))

    def _left(self, partition: int, end: int) -> int:
        position = self.positions.get(partition)
        return 0 if position is None else max(0, end - position)

    def _log(self, left: int) -> None:
        now = monotonic()
        if left < BEHIND_RECORDS:
            if self._catching_up is not None:
                since, before = self._catching_up
                self._catching_up = None
                logger.info("Caught up: %d rows in %.0f s.", self._rows - before, now - since)
            return
        since, before = self._catching_up = self._catching_up or (now - ASK_EVERY_S, 0)
        rows = self._rows - before
        logger.info("Catching up: %d rows in %.0f s, %d records left.", rows, now - since, left)
