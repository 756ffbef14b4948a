"""The short form of `make chaos`: some seconds of each kind of trouble."""

import json
import sys
from pathlib import Path

import pytest

from dedup.demo.example import LATEST, Choice, Example
from examples.debezium.demo import EXAMPLE as DEBEZIUM
from examples.orders.demo import EXAMPLE as ORDERS
from tests.chaos.harness import run
from tests.chaos.plan import Plan
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
    ("seed", "actions", "choice"),
    [
        (11, ("kill", "kill_and_wipe", "terminate", "remove"), Choice("distinct", 3, "sliding")),
        (12, ("suspend", "kill_broker", "pause_broker"), LATEST),
    ],
    ids=["kills and rebalances", "zombies and broker faults"],
)
async def test_nothing_is_missing_or_twice_or_wrong(
    seed: int, actions: tuple[str, ...], choice: Choice, tmp_path: Path
) -> None:
    """Exactly once: the same promise whatever is done to workers and broker."""
    report = await run(seed, Plan(seconds=20, workers=WORKERS, actions=actions, choice=choice))

    assert_exact(report, actions)
    file = tmp_path / "result.json"
    write_reports(file, "tests.chaos", [report])
    result = json.loads(file.read_text())
    assert result["seeds"] == [seed]
    assert result["sums"]["events"] == report.events
    assert result["sums"]["done"] == report.done
    assert result["by_strategy"][0]["strategy"] == choice.strategy
    assert result["runs"][0]["choice"]["window_s"] == choice.window_s
    assert result["versions"]["python"] == sys.version.split()[0]


async def test_without_transactions_too_a_zombie_puts_no_old_state_over_a_newer_one() -> None:
    plan = Plan(seconds=15, workers=WORKERS, actions=("suspend",), guarantee="at_least_once")
    report = await run(13, plan)

    assert_exact(report, ("suspend",))


@pytest.mark.parametrize(
    ("seed", "example"), [(14, ORDERS), (15, DEBEZIUM)], ids=["orders", "debezium"]
)
async def test_the_examples_come_through_kills_as_products_do(seed: int, example: Example) -> None:
    """Each against its own oracle: emissions in order, final rows, and dead letters."""
    actions = ("kill", "kill_and_wipe", "kill", "terminate")
    plan = Plan(seconds=20, rate=2_000, workers=WORKERS, actions=actions, other=example)
    report = await run(seed, plan)

    assert_exact(report, ("kill", "kill_and_wipe", "terminate"))
    assert report.done["kill"] >= 2
    assert report.dead_letters > 100
