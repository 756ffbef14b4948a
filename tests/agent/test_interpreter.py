"""A worker's interpreter collects garbage by the clock and lets threads take short turns."""

import asyncio
import gc
import sys
import weakref

import pytest

from dedup.streaming.interpreter import SWITCH_EVERY_S, THRESHOLDS, Interpreter
from tests.agent.conftest import Bench


class Cycle:
    def __init__(self) -> None:
        self.itself = self


async def test_garbage_that_refers_to_itself_is_freed_while_the_service_runs() -> None:
    before = gc.get_threshold()
    async with Interpreter(collect_every_s=0.01):
        assert gc.get_threshold() == THRESHOLDS
        garbage = weakref.ref(Cycle())
        assert garbage() is not None
        async with asyncio.timeout(10):
            while garbage() is not None:
                await asyncio.sleep(0.01)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


async def test_threads_take_short_turns_while_the_service_runs() -> None:
    before = sys.getswitchinterval()
    async with Interpreter():
        assert sys.getswitchinterval() == pytest.approx(SWITCH_EVERY_S)
    assert sys.getswitchinterval() == before


async def test_a_worker_sets_its_interpreter(bench: Bench) -> None:
    services = bench.app.worker_services()
    assert any(isinstance(each, Interpreter) for each in services)
