"""How Python's interpreter runs a worker: when it collects garbage, and when threads take turns.

A batch creates thousands of small objects that form no cycles and are freed with it. With Python's
own thresholds the collector walks them again and again: 29 us an event instead of 19, measured on
batches of 2,500 without Kafka. So it collects by the clock, not by counting objects.

Counting would also collect too late: a fetch of a consumer that was not read to its end is a cycle
(aiokafka's `PartitionRecords` and its generator) of a few objects that keep up to a megabyte.

The thread that fetches and the one that decides wait for each other's turns, and by default a turn
lasts 5 ms. That adds to the latency of events that come a few at a time.
"""

import gc
import sys
from typing import Any, Final

from mode import Service

THRESHOLDS: Final = (100_000, 50, 100)
COLLECT_EVERY_S: Final = 60.0
"""A collection takes some 20 ms: what exists when the worker starts is never walked again."""

SWITCH_EVERY_S: Final = 0.0005
"""How long a thread may keep Python's lock while another waits for it."""


class Interpreter(Service):
    """Sets the interpreter for a worker while it runs, and then restores Python's settings."""

    def __init__(self, *, collect_every_s: float = COLLECT_EVERY_S, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._collect_every_s = collect_every_s
        self._thresholds = gc.get_threshold()
        self._switch_every_s = sys.getswitchinterval()

    async def on_start(self) -> None:
        """Raise the thresholds, exclude the objects that exist now, and shorten the turns."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
        sys.setswitchinterval(SWITCH_EVERY_S)

    @Service.task
    async def _collect_periodically(self) -> None:
        while not self.should_stop:
            await self.sleep(self._collect_every_s)
            gc.collect()

    async def on_stop(self) -> None:
        """Restore what Python had."""
        sys.setswitchinterval(self._switch_every_s)
        gc.unfreeze()
        gc.set_threshold(*self._thresholds)
