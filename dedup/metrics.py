"""What the worker counts. One registry per app; names and labels are a closed set.

Counters are incremented once per batch, never per event.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Info

from dedup import __version__
from dedup.core.deadletter import Reason
from dedup.core.decide import Outcome


class Metrics:
    """The metrics of one app, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._events = Counter(
            "dedup_events", "Events by outcome.", ["outcome"], registry=self.registry
        )
        self._dead_letters = Counter(
            "dedup_dead_letters", "Dead letters by reason.", ["reason"], registry=self.registry
        )
        self._offset_regressions = Counter(
            "dedup_offset_regressions",
            "Events at an offset already seen, but newer: the source topic was re-created.",
            registry=self.registry,
        )
        self.recovery_remaining = Gauge(
            "dedup_recovery_remaining_records",
            "Records of src_products still to be read before the partition is worked on.",
            ["partition"],
            registry=self.registry,
        )
        build = Info("dedup_build", "Version of the worker.", registry=self.registry)
        build.info({"version": __version__})
        for outcome in Outcome:
            self._events.labels(outcome)
        for reason in Reason:
            self._dead_letters.labels(reason)

    def count(
        self,
        outcomes: Mapping[Outcome, int],
        reasons: Mapping[Reason, int],
        offset_regressions: int = 0,
    ) -> None:
        """Add the results of one batch."""
        for outcome, number in outcomes.items():
            self._events.labels(outcome).inc(number)
        for reason, number in reasons.items():
            self._dead_letters.labels(reason).inc(number)
        self._offset_regressions.inc(offset_regressions)
