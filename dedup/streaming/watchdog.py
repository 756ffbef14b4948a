"""Watches that every partition makes progress, and logs where all tasks and threads are if not.

A thread of its own judges, so that a main thread that hangs is found too. What it judges by is read
in the loop of the main thread, where nothing changes meanwhile. A loop that does not run leaves the
figures as they were; then nothing can make progress, whatever there is to read.

A hang in code that does not release Python's lock stops this thread as well: `/livez` does not
answer then, as in any hang of the main thread.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

from mode import Service

from dedup.kafka.patience import waits_for_brokers
from dedup.observability.stacks import dump
from dedup.observability.stalls import Reading, Stalls

if TYPE_CHECKING:
    from dedup.streaming.application import DedupApp
    from dedup.streaming.batch_transport import BatchConsumer

LOOK_EVERY_S: Final = 5.0


class Watchdog(Service):
    """Looks every few seconds whether partitions are stalled: see `Stalls`."""

    def __init__(self, app: "DedupApp", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._app = app
        self._stalls = Stalls(app.settings.KAFKA_PRODUCT_TOPIC, app.metrics, self.dump)
        self._readings: Mapping[int, Reading] | None = None
        self._read_at = monotonic()
        self._main: asyncio.AbstractEventLoop | None = None
        self._ending = threading.Event()
        self._watching: threading.Thread | None = None

    def warning(self) -> str | None:
        """Return what to tell an operator while partitions are stalled, else None."""
        return self._stalls.warning()

    def dump(self) -> str:
        """Return where all tasks and threads of the worker are."""
        if not self._is_blocked():
            return dump(self._loops())
        return (
            f"The loop of the main thread has not run for {monotonic() - self._read_at:.0f} s: the "
            f"worker answers no requests meanwhile.\n{dump(self._loops())}"
        )

    def _is_blocked(self) -> bool:
        """Return whether the loop of the main thread has missed a look."""
        return self._watching is not None and monotonic() - self._read_at > 2 * LOOK_EVERY_S

    def _loops(self) -> Iterator[asyncio.AbstractEventLoop]:
        """Yield the loop of the main thread, and that of the thread that fetches."""
        yield self._main or asyncio.get_running_loop()
        thread = getattr(self._app._consumer, "_thread", None)
        if thread is not None:
            yield thread.thread_loop

    async def on_start(self) -> None:
        """Start the thread."""
        main, self._read_at = asyncio.get_running_loop(), monotonic()
        self._main = main
        self._watching = threading.Thread(
            target=self._watch, args=(main,), name="watchdog", daemon=True
        )
        self._watching.start()

    async def on_stop(self) -> None:
        """Stop the thread."""
        self._ending.set()
        if self._watching is not None:
            self._watching.join()
            self._watching = None

    def _watch(self, main: asyncio.AbstractEventLoop) -> None:
        while not self._ending.wait(LOOK_EVERY_S):
            try:
                self._stalls.look(self._last_readings())
            except Exception:  # an observer stops no worker
                self.log.exception("The watchdog could not look; it continues.")
            with suppress(RuntimeError):  # the loop is closed
                main.call_soon_threadsafe(self._read)

    def _last_readings(self) -> Mapping[int, Reading] | None:
        found = self._readings
        if not found or not self._is_blocked():
            return found
        return {p: replace(reading, is_blocked=True) for p, reading in found.items()}

    def _read(self) -> None:
        self._read_at = monotonic()
        self._readings = readings(self._app)


def readings(app: "DedupApp") -> dict[int, Reading] | None:
    """Return how far each partition is that should be processed now.

    None while that can't be judged: the brokers do not answer, or something waits for them. The log
    says so already.
    """
    gauges = app.observers.gauges
    if gauges.silent_for() or waits_for_brokers():
        return None
    consumer = cast("BatchConsumer | None", app._consumer)
    if consumer is not None and app.in_recovery:
        source, assigned = app.settings.KAFKA_PRODUCT_TOPIC, consumer.assignment()
        left = sum(app.metrics.recovery_left().values())  # partitions resume together
        recovered = Reading(0, 0, 0, 0, to_recover=left)
        return {tp.partition: recovered for tp in assigned if tp.topic == source}
    if consumer is None or app.rebalancing or not consumer.flow_active:
        return {}
    found = {}
    for partition, (done, delivered) in consumer.progress().items():
        lag = gauges.lags.get(partition)
        # Until it is measured, only what was delivered is known to be there.
        start, end = (0, delivered) if lag is None else (lag.start, lag.end)
        found[partition] = Reading(done, delivered, start, end)
    return found
