"""What a worker does whose partition another producer has taken over."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.errors import CoordinatorNotAvailableError

from dedup.streaming.application import WorkerError
from dedup.streaming.batch_transport import BatchConsumer
from dedup.streaming.output import FencedError
from tests.agent.conftest import Bench
from tests.support.polling import until
from tests.support.records import batch, event, record

FENCED = FencedError("partition 0 was taken over")


class Group:
    """The group of a worker: gives chosen answers to whether the worker is a member."""

    def __init__(self, *answers: bool | Exception | Callable[[], bool]) -> None:
        self._answers = list(answers)

    async def is_member(self) -> bool:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bool) else answer()

    @property
    def asked_all(self) -> bool:
        return not self._answers


@pytest.fixture
def impatient(bench: Bench) -> Bench:
    """An app that waits for a rebalance for a moment only."""
    bench.app.finalize()
    bench.app.conf.broker_session_timeout = bench.app.conf.broker_rebalance_timeout = 0.01
    bench.publisher.error = FENCED
    return bench


def join(patch: pytest.MonkeyPatch, group: Group) -> None:
    patch.setattr(BatchConsumer, "is_member", group.is_member)


async def test_a_worker_stops_when_no_rebalance_follows_a_fencing(
    impatient: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked again while the brokers don't say, and while the worker is no member."""
    app = impatient.app
    group = Group(CoordinatorNotAvailableError(), False, True)
    join(monkeypatch, group)
    work = batch(record(0, event(number=1)))

    async with next(iter(app.agents.values())).test_context(isolated_partitions=False) as running:
        await running.put(work, wait=False)
        await until(lambda: app.failure is not None)

    assert group.asked_all
    assert isinstance(app.failure, WorkerError)
    assert "No rebalance followed: something outside the group product-dedup" in str(app.failure)
    assert "Give it another DEDUP_APP_ID" in str(app.failure)
    assert not work.done


async def test_a_worker_goes_on_when_a_rebalance_follows_a_fencing(
    impatient: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that comes after the first look: the partition is another member's then."""
    app = impatient.app

    def rebalanced() -> bool:
        app.rebalancing_count += 1
        return True

    group = Group(False, rebalanced)
    join(monkeypatch, group)

    async with asyncio.timeout(60):
        await app._expect_rebalance(FENCED)

    assert group.asked_all
    assert app.failure is None


async def test_a_fencing_in_a_rebalance_is_waited_for_no_longer(
    impatient: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The rebalance that moves the partition is under way: the group is not asked."""
    join(monkeypatch, Group())
    impatient.app.rebalancing = True
    futures = len(impatient.app._futures)

    impatient.app.on_fenced(FENCED)

    assert str(FENCED) in caplog.text
    assert len(impatient.app._futures) == futures
