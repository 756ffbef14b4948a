"""The short form of `make chaos-cluster`: three brokers, one of them away or moved at a time."""

import pytest

from dedup.demo.example import Choice
from tests.chaos.harness import run
from tests.chaos.plan import Plan

# A client that a killed broker cut off in the middle of connecting can't be closed in order.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.timeout(600)
async def test_output_is_exact_while_brokers_restart_and_leaders_move() -> None:
    actions = ("restart_controller", "move_leaders", "terminate")
    choice = Choice("distinct", 3, "sliding")
    plan = Plan(10, actions, rate=1_000, workers=2, brokers=3, choice=choice)

    report = await run(16, plan)

    assert report.faults == []
    assert report.exact, report
    assert report.expected > 3_000
    assert sorted(report.done) == sorted(actions)
    assert report.exit_codes == [0, 0]
