"""One batch whose effects are durable, as it is handed to whoever watches: metrics and pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dedup.core.deadletter import Reason
from dedup.core.decide import Outcome, ProcessingTime
from dedup.core.state import State
from dedup.streaming.consumer_thread import SourceRecord
from dedup.streaming.output import Output


@dataclass(frozen=True, slots=True)
class AppliedBatch:
    """What a batch was, what was known before and after it, and what its decisions come to.

    Records, the states before and the clock are all that the pure decision depends on beside the
    rules: any decision of the batch can be recomputed from them, so nothing is kept for each event.
    `before` and `after` cover every product the batch names. `seconds` is the time it was worked
    on, `oldest_age_s` the time since the timestamp of its oldest event, None where that can't be
    true; both up to durability.
    """

    partition: int
    records: Sequence[SourceRecord]
    before: Mapping[int, State]
    after: Mapping[int, State]
    clock: ProcessingTime
    output: Output
    outcomes: Mapping[Outcome, int]
    reasons: Mapping[Reason, int]
    offset_regressions: int
    seconds: float
    oldest_age_s: float | None
