"""The short form of `make chaos`: some seconds of each kind of trouble."""

import json
import sys
from pathlib import Path

import pytest

from tests.chaos.harness import run
from tests.chaos.report import Report, write_reports

# A client that a killed broker cut off in the middle of connecting can't be closed in order.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

WORKERS = 2


def assert_exact(report: Report, actions: tuple[str, ...]) -> None:
    """Everything asked for was done, the workers shut down by themselves, and all is exact."""
    assert report.faults == []
    assert report.exact, report
    assert report.expected > 10_000
    assert sorted(report.done) == sorted(actions)
    assert min(report.done.values()) >= 1
    assert report.exit_codes == [0] * WORKERS


@pytest.mark.parametrize(
    ("seed", "actions"),
    [
        (11, ("kill", "kill_and_wipe", "terminate", "remove")),
        (12, ("suspend", "kill_broker", "pause_broker")),
    ],
    ids=["kills and rebalances", "zombies and broker faults"],
)
async def test_nothing_is_missing_or_twice_or_wrong(
    seed: int, actions: tuple[str, ...], tmp_path: Path
) -> None:
    """Exactly once: the same promise whatever is done to workers and broker."""
    report = await run(seed, seconds=20, workers=WORKERS, actions=actions)

    assert_exact(report, actions)
    file = tmp_path / "result.json"
    write_reports(file, "tests.chaos.harness", "exactly_once", [report])
    result = json.loads(file.read_text())
    assert result["seeds"] == [seed]
    assert result["sums"]["events"] == report.events
    assert result["sums"]["done"] == report.done
    assert result["versions"]["python"] == sys.version.split()[0]


async def test_without_transactions_too_a_zombie_puts_no_old_state_over_a_newer_one() -> None:
    report = await run(
        13, seconds=15, workers=WORKERS, actions=("suspend",), guarantee="at_least_once"
    )

    assert_exact(report, ("suspend",))
