"""Warns when most of what is read can't be applied: a wrong topic, a producer's new format."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from mode import get_logger

from dedup.core.batch_result import BatchResult
from dedup.core.dead_letter import Reason
from dedup.observability.metrics import Metrics

LOOKED_AT_FOR_S: Final = 300
"""Events of the last five minutes count."""

FEWEST_EVENTS: Final = 20
"""Where they are fewer than these, the newest before them count too."""

SLOW_LOOKED_AT_FOR_S: Final = 900
"""But none that are older."""

MOST: Final = 0.5
OVER: Final = 0.25
"""The share at which a warning is over. It is lower, or a share near a half would begin many."""

logger = get_logger(__name__)


@dataclass(slots=True)
class _Second:
    """The events of one second of the clock."""

    at: int
    events: int = 0
    reasons: Counter[Reason] = field(default_factory=Counter)


class Rejected:
    """The dead letters among the newest events.

    The log has a line when they become the most, and one when they are few again.
    """

    def __init__(
        self, metrics: Metrics, *, dry_run: bool = False, clock: Callable[[], float] = monotonic
    ) -> None:
        self._dry_run = dry_run
        self._clock = clock
        self._seconds: deque[_Second] = deque()
        self._events = 0
        self._reasons: Counter[Reason] = Counter()
        self._examples: dict[Reason, str] = {}
        self._warns = False
        metrics.mostly_dead_letters.set_function(lambda: self.warning() is not None)

    def note(self, result: BatchResult) -> None:
        """Add a batch."""
        second = int(self._clock())
        if not self._seconds or self._seconds[-1].at != second:
            self._seconds.append(_Second(second))
        self._seconds[-1].events += len(result.records)
        self._seconds[-1].reasons.update(result.reasons)
        self._events += len(result.records)
        self._reasons.update(result.reasons)
        for reason, (offset, message) in result.rejected.items():
            where = f"partition {result.partition} offset {offset} of the source topic"
            self._examples[reason] = f"{where}: {message}"
        self._judge()

    def warning(self) -> str | None:
        """Return a warning while most of the newest events are dead letters, else None."""
        self._judge()
        return self._text() if self._warns else None

    def _text(self) -> str:
        reason = min(+self._reasons, key=lambda each: (-self._reasons[each], each))
        verb, where = "are", "See `dedup dlq list`"
        if self._dry_run:
            verb, where = "would be", "A dry run writes none"
        return (
            f"{self._counted(verb)}, most often for {reason}, such as the event at "
            f"{self._examples[reason].rstrip('.')}. {where}."
        )

    def _counted(self, verb: str) -> str:
        dead_letters = self._reasons.total()
        share = f"{dead_letters / self._events:.0%}" if self._events else "none"
        return f"{dead_letters:,} of the last {self._events:,} events ({share}) {verb} dead letters"

    def _judge(self) -> None:
        """Decide whether to warn, and log where that changed."""
        self._forget()
        dead_letters = self._reasons.total()
        if self._warns:
            self._warns = self._events >= FEWEST_EVENTS and dead_letters > OVER * self._events
            if not self._warns:
                counted = self._counted("would be" if self._dry_run else "are")
                logger.info("The warning about dead letters is over: %s.", counted)
        elif self._events >= FEWEST_EVENTS and dead_letters > MOST * self._events:
            self._warns = True
            logger.warning("%s", self._text())

    def _forget(self) -> None:
        """Drop the seconds that do not count any more."""
        now = self._clock()
        while self._seconds:
            oldest = self._seconds[0]
            age = now - oldest.at
            few = self._events - oldest.events < FEWEST_EVENTS
            if age <= LOOKED_AT_FOR_S or (few and age <= SLOW_LOOKED_AT_FOR_S):
                return
            self._seconds.popleft()
            self._events -= oldest.events
            self._reasons.subtract(oldest.reasons)
