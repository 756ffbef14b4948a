"""The metrics of a worker: their names and labels, and what they count."""

import pytest
from prometheus_client import generate_latest

from dedup.observability.metrics import COMPARED_PER_BATCH
from tests.agent.conftest import Bench
from tests.support.records import event


async def test_field_changes_of_a_large_batch_are_scaled_up(bench: Bench) -> None:
    number = COMPARED_PER_BATCH * 10
    first = [event(1, number=1, price="1.00", stock_quantity=0)]
    await bench.feed(*first)
    values = [event(1, number=2, price="1.00", stock_quantity=n) for n in range(1, number + 1)]
    await bench.feed(*values, offset=1)
    assert bench.metric("dedup_field_changes_total", field="stock_quantity") == number
    assert bench.metric("dedup_field_changes_total", field="price") == 0


async def test_batches_and_their_latency_are_observed_once_each(bench: Bench) -> None:
    """The records of the test are of midnight, and the clock is a day later."""
    await bench.feed(event(number=1), event(number=2))
    await bench.feed(event(number=3), offset=2)
    assert bench.metric("dedup_batch_seconds_count") == 2
    assert bench.metric("dedup_end_to_end_seconds_count") == 2
    assert bench.metric("dedup_end_to_end_seconds_sum") == 2 * 86_400


@pytest.mark.parametrize(
    "bench",
    [{"DEDUP_STRATEGY": "distinct", "DEDUP_WINDOW": "10m", "DEDUP_WINDOW_ENTRIES": "2"}],
    indirect=True,
)
async def test_what_is_forgotten_inside_the_window_is_counted_by_strategy(bench: Bench) -> None:
    await bench.feed(*(event(1, number=n, stock_quantity=n) for n in range(1, 6)))
    await bench.feed(event(1, number=6, stock_quantity=1), offset=5)
    assert bench.metric("dedup_window_forgotten_total", strategy="distinct") == 4
    assert bench.metric("dedup_events_total", outcome="change", strategy="distinct") == 6


@pytest.mark.parametrize(
    ("bench", "labels"),
    [
        ({}, ("latest", "", "fixed", "64")),
        ({"DEDUP_REFRESH_AFTER": "90s"}, ("latest", "90", "fixed", "64")),
        (
            {
                "DEDUP_STRATEGY": "event_id",
                "DEDUP_WINDOW": "1h",
                "DEDUP_WINDOW_KIND": "sliding",
                "DEDUP_WINDOW_ENTRIES": "7",
            },
            ("event_id", "3600", "sliding", "7"),
        ),
    ],
    indirect=["bench"],
)
async def test_the_rules_are_labels(bench: Bench, labels: tuple[str, str, str, str]) -> None:
    strategy, seconds, kind, entries = labels
    shown = {
        "order": "event_time",
        "strategy": strategy,
        "window_seconds": seconds,
        "window_kind": kind,
        "window_entries": entries,
    }
    assert bench.metric("dedup_rules_info", **shown) == 1


async def test_the_names_of_the_metrics_are_these(bench: Bench) -> None:
    text = generate_latest(bench.app.metrics.registry).decode()
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} == {
        "dedup_events_total",
        "dedup_brokers_answered_timestamp_seconds",
        "dedup_dry_run",
        "dedup_mostly_dead_letters",
        "dedup_foreign_records_total",
        "dedup_window_forgotten_total",
        "dedup_group_member",
        "dedup_field_changes_total",
        "dedup_dead_letters_total",
        "dedup_offset_regressions_total",
        "dedup_consumer_lag_records",
        "dedup_consumer_lag_seconds",
        "dedup_held_back_seconds",
        "dedup_stalled_seconds",
        "dedup_batch_seconds",
        "dedup_end_to_end_seconds",
        "dedup_products",
        "dedup_state_bytes",
        "dedup_recovery_remaining_records",
        "dedup_last_commit_timestamp_seconds",
        "dedup_rebalances_total",
        "dedup_build_info",
        "dedup_rules_info",
    }


def test_partitions_of_other_workers_are_not_spoken_of(bench: Bench) -> None:
    metrics = bench.app.metrics
    for partition in range(4):
        metrics.lag_records.labels("products", partition).set(1)
        metrics.stalled_seconds.labels("products", partition).set(0)
        metrics.recovery_remaining.labels(partition).set(2)
    metrics.forget_partitions_but([1, 3])
    assert metrics.recovery_left() == {1: 2, 3: 2}
    text = generate_latest(metrics.registry).decode()
    assert text.count("dedup_consumer_lag_records{") == 2
    assert text.count("dedup_stalled_seconds{") == 2
