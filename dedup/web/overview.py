"""The state of this worker: current figures, those of the last minutes, liveness, readiness."""

import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final, cast

from dedup import __version__
from dedup.core.decide import Outcome
from dedup.core.explain import instant
from dedup.core.times import time_text
from dedup.observability.rates import Counts
from dedup.rules import rules_of
from dedup.state.table import StateTable
from dedup.streaming.application import DedupApp, explanation
from dedup.streaming.processor import wall_clock
from dedup.streaming.table_manager import StateTableManager
from dedup.web.entity_models import models_of
from dedup.web.models import Health, Overview, Partition, Version, Worker
from dedup.web.partition_router import PartitionRouter
from dedup.web.window_view import duplicates_are

INTERVAL_S: Final = 5

BROKERS_SILENT_S: Final = 30.0
"""After this time without an answer from the brokers, the worker is not ready."""

_PACKAGES: Final = ("faust-streaming", "aiokafka", "rocksdict", "pydantic")


class Overviews:
    """Reads the state of the app."""

    def __init__(self, app: DedupApp, table: StateTable, router: PartitionRouter) -> None:
        self._app = app
        self._table = table
        self._router = router
        self._models = models_of(app.settings.entity)
        self._since = time_text(wall_clock())

    def overview(self) -> Overview:
        """Return the overview of this worker."""
        history = self._app.observers.history
        events, emitted = history.rates()
        intervals = history.intervals(INTERVAL_S)
        recent = _summed(intervals)
        gauges = self._app.observers.gauges
        lags = gauges.lags.values()
        seen = sum(recent.values())
        ready = self.ready()
        state = next(iter(ready.failing.values()), "ready")
        if state == "ready" and "brokers" in ready.warnings:
            state = "waiting for the brokers"
        dry_run = self._app.settings.DEDUP_DRY_RUN
        return self._models.of(Overview)(
            worker=self._router.this,
            version=__version__,
            state=state,
            warnings=ready.warnings,
            dry_run=dry_run,
            duplicates_are=duplicates_are(rules_of(self._app.settings)),
            since=self._since,
            events_per_second=events,
            emitted_per_second=0.0 if dry_run else emitted,
            would_emit_per_second=emitted if dry_run else None,
            duplicate_share=recent[Outcome.DUPLICATE] / seen if seen else None,
            rows=self._table.data.rows,
            lag_records=sum(lag.records for lag in lags) if lags else None,
            lag_seconds=max((lag.seconds for lag in lags), default=None),
            lag_as_of=instant(round(gauges.answered_at * 1e6)) if lags else None,
            totals=_summed([history.totals]),
            recent=recent,
            dead_letters=self._app.metrics.dead_letters(),
            interval_seconds=INTERVAL_S,
            intervals=[dict(counts) for counts in intervals],
            partitions=[self._partition(p) for p in self._table.data.open_partitions],
            workers=[
                self._models.of(Worker)(
                    url=url,
                    partitions=partitions,
                    this=url == self._router.this,
                    state=None,
                    warnings={},
                    figures=None,
                )
                for url, partitions in sorted(self._router.workers().items())
            ],
            group=None,
        )

    def _partition(self, partition: int) -> Partition:
        store = self._table.data.partition(partition)
        lag = self._app.observers.gauges.lags.get(partition)
        remaining = self._app.metrics.recovery_left().get(partition, 0)
        return self._models.of(Partition)(
            partition=partition,
            worker=self._router.this,
            lag_records=lag and lag.records,
            lag_seconds=lag and lag.seconds,
            committed_offset=lag and lag.committed,
            end_offset=lag and lag.end,
            recovery_remaining_records=remaining,
            rows=store.row_count.rows,
            state_bytes=store.size_bytes(),
        )

    def alive(self) -> Health:
        """Return whether the worker is alive; if not, an orchestrator should restart it."""
        failure = self._app.failure
        failing = {} if failure is None else {"worker": explanation(failure)}
        if (complaint := self._app.membership.complaint()) is not None:
            failing["group"] = complaint
        dry_run = self._app.settings.DEDUP_DRY_RUN
        return Health(ok=not failing, failing=failing, warnings={}, dry_run=dry_run)

    def ready(self) -> Health:
        """Return whether the worker's partitions are recovered and processed."""
        failing = dict(self.alive().failing)
        if (refused := self._app.membership.refusal()) is not None:
            failing.setdefault("group", refused)
        elif not self._app.rebalancing_count:
            failing["assignment"] = "The worker is waiting for its first partition assignment."
        elif not cast("StateTableManager", self._app.tables).recovery.completed.is_set():
            left = sum(self._app.metrics.recovery_left().values())
            failing["recovery"] = f"The state is being recovered: {left:,} records left."
        warnings: dict[str, str] = {}
        silent = self._app.observers.gauges.silent_for()
        if silent:
            found = failing if silent > BROKERS_SILENT_S else warnings
            since = datetime.fromtimestamp(self._app.observers.gauges.answered_at, UTC)
            found["brokers"] = (
                f"The brokers have not answered since {since:%Y-%m-%d %H:%M:%S} UTC, for "
                f"{silent:.0f} s. The lag shown is as of then."
            )
        rejected = self._app.observers.rejected.warning()
        if rejected is not None:
            warnings["dead_letters"] = rejected
        if (stalled := self._app.watchdog.warning()) is not None:
            warnings["progress"] = stalled
        dry_run = self._app.settings.DEDUP_DRY_RUN
        return Health(ok=not failing, failing=failing, warnings=warnings, dry_run=dry_run)


def versions(*, dry_run: bool) -> Version:
    """Return the versions of the worker, Python and the main packages."""
    return Version(
        version=__version__,
        dry_run=dry_run,
        python=platform.python_version(),
        packages={name: version(name) for name in _PACKAGES},
    )


def _summed(intervals: Iterable[Counts]) -> dict[str, int]:
    return {outcome: sum(counts.get(outcome, 0) for counts in intervals) for outcome in Outcome}
