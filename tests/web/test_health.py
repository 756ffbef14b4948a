"""Probes: alive until the worker fails, ready once what it owns is recovered."""

from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest
from aiokafka.errors import KafkaError

from dedup.observability.stalls import Reading
from dedup.streaming.application import DedupApp, WorkerError
from dedup.streaming.table_manager import StateTableManager
from tests.web.test_locked_pages import app, serving


async def answers(built: DedupApp) -> tuple[int, dict[str, str], int, dict[str, str]]:
    """Status and failing checks of /livez and of /readyz."""
    async with serving(built) as client:
        live, ready = await client.get("/livez"), await client.get("/readyz")
        return (
            live.status,
            (await live.json())["failing"],
            ready.status,
            (await ready.json())["failing"],
        )


async def test_a_worker_without_an_assignment_is_alive_and_not_ready(tmp_path: Path) -> None:
    assert await answers(app(tmp_path)) == (
        200,
        {},
        503,
        {"assignment": "The worker is waiting for its first partition assignment."},
    )


async def test_a_worker_that_recovers_says_how_much_is_left(tmp_path: Path) -> None:
    built = app(tmp_path)
    built.rebalancing_count = 1
    for partition, left in ((0, 1_200), (3, 34)):
        built.metrics.recovery_remaining.labels(partition).set(left)
    assert (await answers(built))[2:] == (
        503,
        {"recovery": "The state is being recovered: 1,234 records left."},
    )


async def test_a_recovered_worker_is_ready_until_a_rebalance_begins(tmp_path: Path) -> None:
    built = app(tmp_path)
    built.rebalancing_count = 1
    tables = built.tables
    assert isinstance(tables, StateTableManager)
    tables.recovery.completed.set()
    assert await answers(built) == (200, {}, 200, {})
    tables.recovery.on_partitions_revoked(set())
    assert (await answers(built))[2] == 503


async def test_a_stalled_partition_is_a_warning_of_a_worker_that_stays_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traffic is not the point of its readiness; the overview has the warning too."""
    built = app(tmp_path)
    built.rebalancing_count = 1
    tables = built.tables
    assert isinstance(tables, StateTableManager)
    tables.recovery.completed.set()
    clock = monotonic()
    monkeypatch.setattr(built.watchdog._stalls, "_clock", lambda: clock)
    for _ in range(20):
        clock += 5.0
        built.watchdog._stalls.look({2: Reading(done=7, delivered=9, start=0, end=9)})
    async with serving(built) as client:
        response = await client.get("/readyz")
        ready = await response.json()
        overview = await (await client.get("/api/overview?local")).json()

    assert (response.status, ready["failing"]) == (200, {})
    said = ready["warnings"]["progress"]
    assert said.startswith("Partition 2 of products makes no progress since ")
    assert "for 95 s: it is done up to offset 7" in said
    assert "Threads" not in said
    assert overview["warnings"] == {"progress": said}


async def test_brokers_that_are_silent_make_it_unready_and_leave_it_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = app(tmp_path)
    built.rebalancing_count = 1
    tables = built.tables
    assert isinstance(tables, StateTableManager)
    tables.recovery.completed.set()
    monkeypatch.setattr(built.observers.gauges, "_answered", False)
    monkeypatch.setattr(built.observers.gauges, "_answered_at", monotonic() - 31)
    monkeypatch.setattr(
        built.observers.gauges,
        "answered_at",
        datetime(2026, 3, 1, 12, 3, 4, tzinfo=UTC).timestamp(),
    )
    live, _, ready, failing = await answers(built)
    assert (live, ready) == (200, 503)
    assert failing == {
        "brokers": "The brokers have not answered since 2026-03-01 12:03:04 UTC, for 31 s. The lag "
        "shown is as of then."
    }


async def test_a_worker_that_failed_is_neither(tmp_path: Path) -> None:
    built = app(tmp_path)
    built.failure = WorkerError("The disk is full.")
    live, said, ready, failing = await answers(built)
    assert (live, ready) == (503, 503)
    assert said == {"worker": "The disk is full."}
    assert failing["worker"] == "The disk is full."


async def test_a_worker_outside_its_group_for_a_minute_is_not_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = app(tmp_path)
    monkeypatch.setattr(built.membership, "_member_at", monotonic() - 59)
    assert (await answers(built))[0] == 200
    monkeypatch.setattr(built.membership, "_member_at", monotonic() - 61)
    live, said, _, _ = await answers(built)
    assert live == 503
    assert "The worker has not been a member of the group product-dedup for 61 s" in said["group"]


async def test_a_worker_that_gets_no_partition_while_some_are_free_is_not_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = app(tmp_path)
    monkeypatch.setattr(built.membership, "_served_at", monotonic() - 61)
    monkeypatch.setattr(built.membership, "_unowned", [1, 3])
    live, said, _, _ = await answers(built)
    assert live == 503
    assert "no member of product-dedup owns the partitions [1, 3] of products" in said["group"]


async def test_a_worker_that_its_group_refused_says_so_and_not_that_it_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = app(tmp_path)
    built.rebalancing_count = 1
    monkeypatch.setattr(built.membership, "_refused", KafkaError("NobodyKnows"))
    live, _, ready, failing = await answers(built)
    assert (live, ready) == (200, 503)
    assert list(failing) == ["group"]
    assert "does not accept the worker now (KafkaError('NobodyKnows'))" in failing["group"]
