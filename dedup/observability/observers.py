"""Everything that receives a batch once its effects are durable."""

from dataclasses import dataclass

from dedup.core.batch_result import BatchResult
from dedup.observability.decision_log import DecisionLog
from dedup.observability.gauge_sampler import Gauges
from dedup.observability.metrics import Metrics
from dedup.observability.rates import History
from dedup.observability.rejected import Rejected


@dataclass(frozen=True, slots=True)
class Observers:
    """The observers of one worker. None of them keeps anything for each event."""

    metrics: Metrics
    gauges: Gauges
    decision_log: DecisionLog
    history: History
    rejected: Rejected

    def observe(self, result: BatchResult) -> None:
        """Pass the result of a batch to every observer."""
        self.metrics.count(result)
        self.decision_log.keep(result)
        self.history.add(result.outcomes)
        self.rejected.note(result)
