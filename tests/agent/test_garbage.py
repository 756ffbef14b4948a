"""Garbage that refers to itself is found by the clock, however few objects it is."""

import asyncio
import gc
import weakref

from dedup.streaming.gc_policy import THRESHOLDS, GarbageCollection
from tests.agent.conftest import Bench


class Cycle:
    def __init__(self) -> None:
        self.itself = self


async def test_garbage_that_refers_to_itself_is_freed_while_the_service_runs() -> None:
    before = gc.get_threshold()
    async with GarbageCollection(every_s=0.01):
        assert gc.get_threshold() == THRESHOLDS
        garbage = weakref.ref(Cycle())
        assert garbage() is not None
        async with asyncio.timeout(10):
            while garbage() is not None:
                await asyncio.sleep(0.01)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


async def test_a_worker_collects_its_garbage(bench: Bench) -> None:
    services = bench.app.worker_services()
    assert any(isinstance(each, GarbageCollection) for each in services)
