"""The short form of `make chaos`: half a minute of each kind of trouble."""

from pathlib import Path

import pytest

from tests.chaos import restarts
from tests.chaos.harness import run

# A client that a killed broker cut off in the middle of connecting can't be closed in order.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.parametrize(
    ("seed", "actions"),
    [
        (11, ("kill", "kill_and_wipe", "terminate", "remove")),
        (12, ("suspend", "kill_broker", "pause_broker")),
    ],
    ids=["kills and rebalances", "zombies and broker faults"],
)
async def test_nothing_is_missing_or_twice_or_wrong(seed: int, actions: tuple[str, ...]) -> None:
    """Exactly once: the same promise whatever is done to workers and broker."""
    report = await run(seed, seconds=30, workers=2, actions=actions)

    assert report.faults == []
    assert report.exact, report
    assert report.expected > 10_000


async def test_without_transactions_too_a_zombie_puts_no_old_state_over_a_newer_one() -> None:
    report = await run(13, seconds=25, workers=2, actions=("suspend",), guarantee="at_least_once")

    assert report.faults == []
    assert report.exact, report


def test_workers_survive_brokers_that_are_shut_down_cleanly(tmp_path: Path) -> None:
    """The script of `make test-restarts`, with shorter pauses: processes as an operator runs."""
    report = restarts.run(tmp_path, restarts=2, down_s=3, up_s=4)

    assert report.workers_up == [True, True], report.last_words
    assert report.faults == []
    assert report.verify_code == 0, report.verify_output
