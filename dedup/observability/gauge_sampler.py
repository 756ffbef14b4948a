"""Updates the gauges every few seconds, in small steps between the batches."""

import asyncio
from collections.abc import Callable, Collection
from math import nan
from time import monotonic, time
from typing import Any, Final

from aiokafka.errors import KafkaError
from mode import Service

from dedup.observability.lag import Lag, LagReader
from dedup.observability.metrics import Metrics
from dedup.settings import Settings
from dedup.state.store_errors import StoreError
from dedup.state.table import StateTable

EVERY_S: Final = 2.0
READ_WITHIN_S: Final = 30.0
"""How long the brokers may take to return the lag; the client would retry for ever."""

ANSWER_WITHIN_S: Final = 5.0
"""How long the brokers may take to answer before they are called silent."""

COUNTED_AT_ONCE: Final = 2_000
"""Products counted before control returns to the loop: about a millisecond."""


class Gauges(Service):
    """Measures lag, commits, the number of rows and the size of the state."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        table: StateTable,
        in_recovery: Callable[[], bool],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._topic = settings.KAFKA_PRODUCT_TOPIC
        self._metrics = metrics
        self._table = table
        self._in_recovery = in_recovery
        self._reader = LagReader(settings)
        self._answered = True
        self.lags: dict[int, Lag] = {}
        """The lag of each owned partition, as last read."""

        self._committed_at: dict[int, float] = {}
        self._answered_at = self._asked_at = monotonic()
        self.answered_at = time()
        """When the brokers last answered, or the worker started: the lags are as of then."""

    def silent_for(self) -> float:
        """Return the seconds since the brokers last answered; 0 while they answer."""
        now = monotonic()
        waiting = self._asked_at > self._answered_at and now - self._asked_at > ANSWER_WITHIN_S
        return now - self._answered_at if waiting or not self._answered else 0.0

    @Service.task
    async def _measure_periodically(self) -> None:
        while not self.should_stop:
            try:
                await self._measure()
            except StoreError:  # the next flush raises it too, and stops the worker
                pass
            except Exception:  # an observer stops no worker
                self.log.exception("The gauges could not be updated; the worker continues.")
            await self.sleep(EVERY_S)

    async def _measure(self) -> None:
        owned = self._table.data.open_partitions
        self._metrics.forget_partitions_but(owned)
        if not self._in_recovery():
            await self._count_rows()
        self._measure_state()
        await self._measure_lag(owned)

    async def on_shutdown(self) -> None:
        """Disconnect, once no measurement is running."""
        await self._reader.close()

    async def _count_rows(self) -> None:
        data = self._table.data
        for partition in data.open_partitions:
            while (
                not self._in_recovery()
                and partition in data.open_partitions
                and data.partition(partition).row_count.rows is None
            ):
                data.partition(partition).row_count.count_some(COUNTED_AT_ONCE)
                await asyncio.sleep(0)

    def _measure_state(self) -> None:
        metrics, data = self._metrics, self._table.data
        metrics.rows.set(nan if data.rows is None else data.rows)
        for partition in data.open_partitions:
            metrics.state_bytes.labels(partition).set(data.partition(partition).size_bytes())

    async def _measure_lag(self, owned: Collection[int]) -> None:
        self._asked_at = monotonic()
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                found = await self._reader.read(owned)
        except (KafkaError, OSError) as error:  # TimeoutError is an OSError
            if self._answered:
                self.log.warning("The lag can't be read from the brokers: %r", error)
            self._answered = False
            await self._reader.close()
            return
        if not self._answered:
            self.log.info("The lag can be read again, after %.1f s.", self.silent_for())
        self._answered = True
        self._answered_at, self.answered_at = monotonic(), time()
        self._metrics.brokers_answered.set(self.answered_at)
        topic, metrics = self._topic, self._metrics
        for partition, lag in found.items():
            before = self.lags.get(partition)
            if before is None or lag.committed != before.committed:
                self._committed_at[partition] = time()
            metrics.lag_records.labels(topic, partition).set(lag.records)
            metrics.lag_seconds.labels(topic, partition).set(lag.seconds)
            metrics.held_back_seconds.labels(topic, partition).set(lag.held_back_s)
            metrics.last_commit.labels(topic, partition).set(self._committed_at[partition])
        self.lags = found
