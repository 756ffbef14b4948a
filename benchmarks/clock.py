"""The figures of a run: what was done between a tenth and nine tenths of it, and what that took."""

from bisect import bisect, bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

WINDOW: Final = (0.1, 0.9)
"""The shares of the events between which a run is measured."""


class RunFailedError(Exception):
    """A run has no figure; the text says why, perhaps with lines of a log."""


@dataclass(frozen=True)
class Figures:
    """What a run came to. The second half begins when half of the events is done."""

    events_per_s: float
    second_half_events_per_s: float
    seconds: float
    cpu_us_per_event: float
    broker_cpu_us_per_event: float
    peak_rss_mib: float
    seconds_to_first_record: float
    records: int


def _between(times: Sequence[float], values: Sequence[float], at: float) -> float:
    """Return the value at a time, on the straight line between the two that are known around it."""
    after = bisect(times, at)
    if after in (0, len(times)):
        return values[max(0, after - 1)]
    share = (at - times[after - 1]) / (times[after] - times[after - 1])
    return values[after - 1] + share * (values[after] - values[after - 1])


@dataclass
class Samples:
    """CPU seconds of a contender and of the broker at moments of the wall clock."""

    times_ms: list[float] = field(default_factory=list)
    contender_s: list[float] = field(default_factory=list)
    broker_s: list[float] = field(default_factory=list)
    peak_rss: int = 0

    def used(self, cpu_s: Sequence[float], start_ms: float, end_ms: float) -> float:
        """Return the CPU seconds between two moments, in a straight line between samples."""
        start, end = (_between(self.times_ms, cpu_s, at) for at in (start_ms, end_ms))
        return end - start


@dataclass(frozen=True)
class Progress:
    """How many events were done at which milliseconds of the wall clock, whenever that grew.

    The first `before` of all `events` only prepare; the window is one of those after them.
    """

    stamps_ms: Sequence[float]
    done: Sequence[int]
    events: int
    before: int = 0

    def share(self, share: float) -> float:
        """Return how many events are done when a share of those that count is."""
        return self.before + share * (self.events - self.before)

    def figures(self, samples: Samples, begun_ms: float, records: int) -> Figures:
        """Return the figures of a run that began then. Raises RunFailedError: too few steps."""
        stamps, done = self.stamps_ms, self.done
        first, middle = (bisect_left(done, self.share(share)) for share in (WINDOW[0], 0.5))
        last = bisect(done, self.share(WINDOW[1])) - 1
        if not first < middle < last:
            raise RunFailedError("it was done in too few steps to be measured: take more events")
        start, end = stamps[first], stamps[last]
        events = done[last] - done[first]
        cpu_s = samples.used(samples.contender_s, start, end)
        broker_s = samples.used(samples.broker_s, start, end)
        second_half = (done[last] - done[middle]) / (end - stamps[middle])
        return Figures(
            events_per_s=round(events / (end - start) * 1000),
            second_half_events_per_s=round(second_half * 1000),
            seconds=round((end - start) / 1000, 3),
            cpu_us_per_event=round(cpu_s / events * 1e6, 2),
            broker_cpu_us_per_event=round(broker_s / events * 1e6, 2),
            peak_rss_mib=round(samples.peak_rss / 2**20),
            seconds_to_first_record=round((stamps[0] - begun_ms) / 1000, 2),
            records=records,
        )
