"""How long records have waited: by what was seen of their partition, and by their timestamps.

A timestamp is set by a producer. It can be 0 or -1, be in the future, be in microseconds or
seconds, or be that of a record copied from elsewhere days ago. So it is used only where nothing
better was observed, and only within plausible bounds.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

BELIEVED_S: Final = 7 * 86_400.0
"""The highest plausible age by a timestamp: brokers keep records for as long by default."""

CLOCKS_DIFFER_S: Final = 60.0
"""How far in the future a timestamp may be, as of a producer whose clock is ahead."""

ENDS_KEPT: Final = 1_024


def believable_age(timestamp_ms: int, now_s: float) -> float | None:
    """Return the age in seconds of a record by its timestamp; None where that can't be true."""
    age = now_s - timestamp_ms / 1000
    return max(0.0, age) if -CLOCKS_DIFFER_S <= age <= BELIEVED_S else None


@dataclass(slots=True)
class _Seen:
    """An end of a partition, and when it was first and last seen."""

    end: int
    first_s: float
    last_s: float


class Arrivals:
    """When the ends of a partition were seen: these bound the time at which a record was appended.

    Times are of a monotonic clock.
    """

    def __init__(self) -> None:
        self._seen: deque[_Seen] = deque()

    def note(self, end: int, now_s: float) -> None:
        """Note that the partition ends there now."""
        seen = self._seen
        if seen and end < seen[-1].end:
            seen.clear()  # the topic was re-created
        if seen and seen[-1].end == end:
            seen[-1].last_s = now_s
            return
        seen.append(_Seen(end, now_s, now_s))
        if len(seen) > ENDS_KEPT:  # what is left still bounds every time, by wider bounds
            self._seen = deque(list(seen)[::2])

    def waited(self, offset: int, now_s: float) -> tuple[float, float | None]:
        """Return how long the record at an offset has been there at least and at most.

        None: it may have been there before anything was seen. Ends before the offset are dropped
        but for the last: call this with growing offsets.
        """
        seen = self._seen
        while len(seen) > 1 and seen[1].end <= offset:
            seen.popleft()
        before = seen[0] if seen and seen[0].end <= offset else None
        after = next((each for each in seen if each.end > offset), None)
        at_least = 0.0 if after is None else now_s - after.first_s
        return at_least, None if before is None else now_s - before.last_s
