"""A recovery that was cut short, and nobody asked for that, starts again."""

import asyncio

import pytest

from dedup.streaming.table_manager import Recovery
from tests.agent.conftest import Bench
from tests.support.polling import until


async def test_a_recovery_that_a_task_of_a_client_cancelled_starts_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever awaits a cancelled task is cancelled too, as by the close of a consumer."""
    began: list[int] = []

    async def cut_short_once(_: Recovery) -> None:
        began.append(len(began))
        if len(began) == 1:
            request = asyncio.ensure_future(asyncio.sleep(60))
            asyncio.get_running_loop().call_soon(request.cancel)
            await request

    monkeypatch.setattr(Recovery, "_recover_patiently", cut_short_once)
    recovery = Recovery(bench.app)
    async with recovery:
        await recovery.on_rebalance()
        await until(lambda: len(began) == 2)
