"""Warns when most of what is read can't be applied: a wrong topic, a producer's new format."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final, NamedTuple

from mode import get_logger

from dedup.core.batch_result import BatchResult
from dedup.core.dead_letter import Reason

EVENTS_LOOKED_AT: Final = 1_000
"""The newest events, by whole batches: as many whatever the rate is."""

LOOKED_AT_FOR_S: Final = 900.0
FEWEST_EVENTS: Final = 20
MOST: Final = 0.5
LOGGED_EVERY_S: Final = 600.0

logger = get_logger(__name__)


class _Batch(NamedTuple):
    at: float
    events: int
    reasons: Mapping[Reason, int]


class _Example(NamedTuple):
    partition: int
    offset: int


class Rejected:
    """The dead letters among the newest events."""

    def __init__(self, *, dry_run: bool = False, clock: Callable[[], float] = monotonic) -> None:
        self._dry_run = dry_run
        self._clock = clock
        self._batches: deque[_Batch] = deque()
        self._events = 0
        self._examples: dict[Reason, _Example] = {}
        self._logged_at = float("-inf")

    def note(self, result: BatchResult) -> None:
        """Add a batch; log a warning, at most every ten minutes, while most are dead letters."""
        now = self._clock()
        self._batches.append(_Batch(now, len(result.records), result.reasons))
        self._events += len(result.records)
        while self._events - self._batches[0].events >= EVENTS_LOOKED_AT:
            self._events -= self._batches.popleft().events
        if not result.reasons:
            return
        for reason, offset in result.rejected.items():
            self._examples[reason] = _Example(result.partition, offset)
        if now - self._logged_at >= LOGGED_EVERY_S and (warning := self.warning()) is not None:
            self._logged_at = now
            logger.warning("%s", warning)

    def warning(self) -> str | None:
        """Return a warning if most of the newest events are dead letters, None if not."""
        since = self._clock() - LOOKED_AT_FOR_S
        while self._batches and self._batches[0].at < since:
            self._events -= self._batches.popleft().events
        reasons: Counter[Reason] = Counter()
        for batch in self._batches:
            reasons.update(batch.reasons)
        dead_letters = reasons.total()
        if self._events < FEWEST_EVENTS or dead_letters <= MOST * self._events:
            return None
        reason = min(reasons, key=lambda each: (-reasons[each], each))
        example = self._examples[reason]
        verb, where = "are", "see `dedup dlq list`"
        if self._dry_run:
            verb, where = "would be", "a dry run writes none"
        return (
            f"{dead_letters:,} of the last {self._events:,} events "
            f"({dead_letters / self._events:.0%}) "
            f"{verb} dead letters, most of them for {reason}, such as the event at "
            f"partition {example.partition} offset {example.offset} of the source topic; {where}."
        )
