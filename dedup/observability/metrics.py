"""The metrics of the worker. One registry per app; names and labels are a closed set.

Everything is counted once per batch or every few seconds, never per event.
"""

from collections.abc import Iterable
from functools import partial
from itertools import islice
from math import nan
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
)

from dedup import __version__
from dedup.core.batch_result import BatchResult
from dedup.core.codec import Codec
from dedup.core.dead_letter import Reason
from dedup.core.decide import Rules
from dedup.core.decision import Outcome
from dedup.core.keys import Id
from dedup.core.rows import row_fields
from dedup.core.state import UNKNOWN_SOURCE

disable_created_metrics()  # type: ignore[no-untyped-call] # one more series for each, of no use here

COMPARED_PER_BATCH: Final = 64
"""Emissions of a batch whose fields are compared with what was known before.

The count of a larger batch is extrapolated: to compare all would cost a fifth of the work.
"""

_BATCH_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_END_TO_END_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600)
_SOURCE: Final = ("topic", "partition")


class Metrics:
    """The metrics of one app, on a registry of their own."""

    def __init__(self, rules: Rules) -> None:
        self._codec = codec = rules.codec
        self._strategy = strategy = rules.strategy
        self.registry = CollectorRegistry()
        self._events = self._counter("events", "Events by outcome.", "outcome", "strategy")
        self._dead_letters = self._counter("dead_letters", "Dead letters by reason.", "reason")
        self._field_changes = self._counter(
            "field_changes",
            "Content fields that changed in emitted changes of known rows; exact in batches "
            f"of up to {COMPARED_PER_BATCH} emissions, extrapolated from as many in larger ones.",
            "field",
        )
        self._offset_regressions = self._counter(
            "offset_regressions",
            "Events at an offset already seen, but newer: the source topic was re-created.",
        )
        self._forgotten = self._counter(
            "window_forgotten",
            "Contents or event ids that were forgotten inside their window, because their row had "
            "more than DEDUP_WINDOW_ENTRIES: what they stand for is emitted when it comes again.",
            "strategy",
        )
        self.foreign_records = self._counter(
            "foreign_records",
            "Committed records found on the output topic between this worker's own: another "
            "program writes to it. Of long gaps only the first part is read and counted.",
        )
        self.rebalances = self._counter("rebalances", "Assignments of partitions received.")
        self._batch_seconds = Histogram(
            "dedup_batch_seconds",
            "Time from the start of a batch until its effects are durable.",
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self._end_to_end_seconds = Histogram(
            "dedup_end_to_end_seconds",
            "Time from an event's timestamp on the source topic until its effects are durable, for "
            "the oldest event of each batch; events with an implausible timestamp are excluded.",
            buckets=_END_TO_END_BUCKETS,
            registry=self.registry,
        )
        self.lag_records = self._gauge(
            "consumer_lag_records",
            "Records of the source topic that can be read and are not committed yet.",
            *_SOURCE,
        )
        self.lag_seconds = self._gauge(
            "consumer_lag_seconds",
            "Time that the first record not committed yet has waited, as seen by this worker; by "
            "its timestamp if it is older than the worker's first read.",
            *_SOURCE,
        )
        self.held_back_seconds = self._gauge(
            "held_back_seconds",
            "Time for which the same open transaction of a producer has kept the records in and "
            "behind it from being read; 0 without one.",
            *_SOURCE,
        )
        self.stalled_seconds = self._gauge(
            "stalled_seconds",
            "Time for which nothing of a partition was processed although there is something to "
            "read and the brokers answer, once that is a minute; 0 while it makes progress.",
            *_SOURCE,
        )
        self.last_commit = self._gauge(
            "last_commit_timestamp_seconds",
            "Unix time at which the committed offset was last seen to change; at first, of the "
            "worker's first read of it.",
            *_SOURCE,
        )
        self.state_bytes = self._gauge(
            "state_bytes",
            "Size of the state: RocksDB's table files and write buffers.",
            "partition",
        )
        self.recovery_remaining = self._gauge(
            "recovery_remaining_records",
            "Records of the output topic still to be read before the partition is processed.",
            "partition",
        )
        self.group_member = self._gauge(
            "group_member",
            "1 while the worker is a member of its consumer group and owns partitions, or others "
            "own them all; else 0.",
        )
        self.dry_run = self._gauge(
            "dry_run",
            "1 in a dry run: what is counted as emitted or as dead letters is not written.",
        )
        self.mostly_dead_letters = self._gauge(
            "mostly_dead_letters",
            "1 while most of the events that were read last are dead letters; else 0.",
        )
        self.brokers_answered = self._gauge(
            "brokers_answered_timestamp_seconds",
            "Unix time at which the brokers last answered; the lag is as of then.",
        )
        self.brokers_answered.set_to_current_time()
        build = Info("dedup_build", "Version of the worker.", registry=self.registry)
        build.info({"version": __version__})
        Info("dedup_rules", "What a duplicate is.", registry=self.registry).info(_shown(rules))
        plural = codec.entity.plural
        taken = {family.name for family in self.registry.collect()}
        self.rows = self._gauge(
            f"known_{plural}" if f"dedup_{plural}" in taken else plural,
            f"{plural.capitalize()} that are known and not deleted, in this worker's partitions; "
            "NaN until they are counted.",
        )
        self.rows.set(nan)
        for outcome in Outcome:
            self._events.labels(outcome, strategy)
        self._forgotten.labels(strategy)
        for reason in Reason:
            self._dead_letters.labels(reason)
        for field in {**dict.fromkeys(codec.entity.content), **dict.fromkeys(codec.content)}:
            self._field_changes.labels(field)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"dedup_{name}", help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"dedup_{name}", help_text, labels, registry=self.registry)

    def count(self, result: BatchResult) -> None:
        """Add the results of one batch."""
        for outcome, number in result.outcomes.items():
            self._events.labels(outcome, self._strategy).inc(number)
        for reason, number in result.reasons.items():
            self._dead_letters.labels(reason).inc(number)
        self._offset_regressions.inc(result.offset_regressions)
        self._forgotten.labels(self._strategy).inc(result.forgotten)
        self._batch_seconds.observe(result.seconds)
        if result.oldest_age_s is not None:
            self._end_to_end_seconds.observe(result.oldest_age_s)
        emitted = len(result.output.emissions)
        compared = min(emitted, COMPARED_PER_BATCH)
        for field, number in _field_changes(self._codec, result, compared).items():
            if number:
                self._field_changes.labels(field).inc(number * emitted / compared)

    def dead_letters(self) -> dict[str, int]:
        """Return the dead letters counted so far, by reason."""
        (family,) = self._dead_letters.collect()
        total = f"{family.name}_total"
        return {s.labels["reason"]: int(s.value) for s in family.samples if s.name == total}

    def recovery_left(self) -> dict[int, int]:
        """Return the records still to be read, by partition."""
        (family,) = self.recovery_remaining.collect()
        return {int(s.labels["partition"]): int(s.value) for s in family.samples}

    def forget_partitions_but(self, owned: Iterable[int]) -> None:
        """Drop the series of partitions that another worker owns now."""
        kept = {str(partition) for partition in owned}
        for gauge in (
            self.state_bytes,
            self.recovery_remaining,
            self.lag_records,
            self.lag_seconds,
            self.held_back_seconds,
            self.stalled_seconds,
            self.last_commit,
        ):
            (family,) = gauge.collect()
            for sample in family.samples:
                if sample.labels["partition"] not in kept:
                    gauge.remove(*sample.labels.values())


def _shown(rules: Rules) -> dict[str, str]:
    """Return the rules as labels; a window without an end has no seconds."""
    window_us = rules.window_us
    return {
        "strategy": rules.strategy,
        "order": rules.order,
        "window_seconds": "" if window_us is None else f"{window_us / 1_000_000:g}",
        "window_kind": rules.window_kind,
        "window_entries": str(rules.window_entries),
    }


def _field_changes(codec: Codec, result: BatchResult, compared: int) -> dict[str, int]:
    """Count the fields in which the first emissions differ from the states they replaced."""
    changes: dict[str, int] = {}
    rows: dict[Id, bytes | None] = {}
    for row_id, state in islice(result.output.emissions, compared):
        known = result.before.get(row_id)
        is_ours = row_id in rows or known is None or known.partition != UNKNOWN_SOURCE
        old = rows.get(row_id, None if known is None else known.row)
        new = rows[row_id] = state.row
        if old is not None and new is not None:
            for field in changed_fields(codec, old, new, is_ours=is_ours):
                changes[field] = changes.get(field, 0) + 1
    return changes


def changed_fields(codec: Codec, old: bytes, new: bytes, *, is_ours: bool) -> list[str]:
    """Return the content fields in which two rows differ; another program may have written `old`.

    A row of ours is compared as it stands there, any other in normal form.
    """
    read = row_fields if is_ours else partial(_normal, codec)
    before, after = read(old), read(new)
    content = codec.entity.content if codec.unknown_fields == "drop" else codec.content
    return [field for field in content if before.get(field) != after.get(field)]


def _normal(codec: Codec, row: bytes) -> dict[str, Any]:
    read = codec.read_row(row)
    return {} if read is None else dict(codec.shown(read.values, read.extra))
