"""`make test-upgrade`: workers of an earlier release and of today in one group."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.chaos.plan import Guarantee, Plan
from tests.support.records import event
from tests.support.topics import emissions, produce, read_topic, wait_until_done
from tests.support.workers import Names
from tests.upgrade.releases import LAST_RELEASE, UnavailableError
from tests.upgrade.rolling import ReleasedWorker, run, steps_by

IDS = range(1, 101)


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    """Install the release, or end with what is missing."""
    try:
        LAST_RELEASE.installed()
    except UnavailableError as error:
        pytest.exit(f"Error: {error}", returncode=1)


def test_steps_go_forward_back_and_forward_again() -> None:
    """Each seed ends both workers in both ways; some stay away, so that the other takes over."""
    for seed in range(20):
        steps = steps_by(seed)
        assert [step.to_today for step in steps] == [True, True, False, False, True, True]
        for first, second in zip(steps[::2], steps[1::2], strict=True):
            assert {first.worker, second.worker} == {0, 1}
            assert {first.ended_by, second.ended_by} == {signal.SIGTERM, signal.SIGKILL}
    assert {bool(step.away_s) for seed in range(20) for step in steps_by(seed)} == {True, False}


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_an_upgrade_and_a_downgrade_are_exact_while_events_come(
    guarantee: Guarantee, tmp_path: Path
) -> None:
    plan = Plan(seconds=20, actions=(), rate=1_000, guarantee=guarantee)
    report = await run(31, plan, LAST_RELEASE, tmp_path)

    assert report.faults == []
    assert report.exact, report
    assert report.expected > 10_000
    assert report.exit_codes == [0, 0]
    for form in ("dedup.state", "dedup.fingerprint"):  # of today, of the release
        assert form in str(report.rows_by_headers)


async def _send(kafka: str, names: Names, number: int, price: str, action: str = "updated") -> None:
    """Produce an event of each product, and wait until all are committed."""
    records: list[tuple[bytes | None, bytes | None]] = [
        (b"%d" % i, event(i, number=number, price=price, action=action)) for i in IDS
    ]
    await produce(kafka, records, names.source)
    await wait_until_done(kafka, names)


async def test_what_is_older_than_a_delete_stays_stale_when_the_other_release_takes_over(
    kafka: str, tmp_path: Path
) -> None:
    """The tombstone tells when it was, to a worker that has nothing on its disk."""
    names, earlier = Names.fresh(), LAST_RELEASE.installed()
    expected: list[str | None] = []
    for number, tree in ((1, None), (6, earlier), (11, None)):
        with ReleasedWorker(kafka, tmp_path / f"states-{number}", names.settings, tree) as worker:
            if number == 1:
                worker.wait_until_ready()
            else:
                await _send(kafka, names, number - 2, price="9.00")
            await _send(kafka, names, number, price="1.00")
            await _send(kafka, names, number + 4, price="1.00", action="deleted")
            expected += [f"evt_{number}", None]
            assert worker.terminate() == 0
    assert emissions(await read_topic(kafka, names.states)) == dict.fromkeys(IDS, expected)


async def test_before_a_downgrade_the_strategy_is_unset_and_the_data_directory_deleted(
    kafka: str, tmp_path: Path
) -> None:
    """An earlier release refuses a setting that it does not know.

    By the rows it decides as it always did: A, B, then B is a duplicate and A a change.
    """
    names, states = Names.fresh(), tmp_path / "states"
    distinct = {"DEDUP_STRATEGY": "distinct", "DEDUP_WINDOW": "1h", **names.settings}
    with ReleasedWorker(kafka, states, distinct) as today:
        today.wait_until_ready()
        await _send(kafka, names, 1, price="1.00")
        await _send(kafka, names, 2, price="2.00")
        assert today.terminate() == 0
    with ReleasedWorker(kafka, states, distinct, LAST_RELEASE.installed()) as refusing:
        assert refusing.wait() == 1
        assert "DEDUP_STRATEGY" in refusing.new_log()
    shutil.rmtree(states)
    with ReleasedWorker(kafka, states, names.settings, LAST_RELEASE.installed()) as earlier:
        await _send(kafka, names, 3, price="2.00")
        await _send(kafka, names, 4, price="1.00")
        assert earlier.terminate() == 0
    emitted = emissions(await read_topic(kafka, names.states))
    assert emitted == {i: ["evt_1", "evt_2", "evt_4"] for i in IDS}
