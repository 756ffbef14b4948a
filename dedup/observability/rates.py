"""Events of the last minutes by outcome, per second."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

from dedup.core.decision import EMITTING, Outcome

SECONDS_KEPT: Final = 300
RATE_OVER_S: Final = 10

Counts = Mapping[Outcome, int]


class History:
    """Counts of each of the last `SECONDS_KEPT` seconds, and since the worker started."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._seconds: deque[tuple[int, Counter[Outcome]]] = deque()
        self.totals: Counter[Outcome] = Counter()

    def add(self, outcomes: Counts) -> None:
        """Add the outcomes of a batch to the second it ended in."""
        second = int(self._clock())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, Counter()))
            while self._seconds[0][0] <= second - SECONDS_KEPT - 1:
                self._seconds.popleft()
        self._seconds[-1][1].update(outcomes)
        self.totals.update(outcomes)

    def intervals(self, seconds: int) -> list[Counter[Outcome]]:
        """Return the counts of the intervals of so many seconds that are over, oldest first."""
        number = SECONDS_KEPT // seconds
        end = int(self._clock()) // seconds
        found: list[Counter[Outcome]] = [Counter() for _ in range(number)]
        for second, counts in self._seconds:
            place = second // seconds - (end - number)
            if 0 <= place < number:
                found[place].update(counts)
        return found

    def rates(self) -> tuple[float, float]:
        """Return events and emissions a second over the last whole seconds."""
        now = int(self._clock())
        over = min(RATE_OVER_S, max(1, now - int(self._began)))
        recent: Counter[Outcome] = Counter()
        for second, counts in self._seconds:
            if now - over <= second < now:
                recent.update(counts)
        return recent.total() / over, sum(recent[o] for o in EMITTING) / over
