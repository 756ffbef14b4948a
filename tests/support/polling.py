"""Waiting for what is to come about, for as long as a busy machine may take, and no longer."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

WITHIN_S: Final = 60.0


async def until(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Wait until a condition holds; let everything else of the loop go on meanwhile."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.005)


async def settled(rounds: int = 50) -> None:
    """Let everything that can run now run: what has not happened then waits for something else."""
    for _ in range(rounds):
        await asyncio.sleep(0)
