"""Finds partitions that make no progress although there is something to read, and says so once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, time
from typing import Final

from mode import get_logger

from dedup.observability.metrics import Metrics

STALLED_AFTER_S: Final = 60.0
"""How long nothing of a partition may be done before that is logged."""

SUSPENDED_AFTER_S: Final = 20.0
"""Between two looks there is less than this, unless the whole process stood still."""

DUMP_AGAIN_AFTER_S: Final = 60.0
"""Partitions that stall one after the other usually do so for one reason: one dump shows it."""

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a partition is processed, and how far it can be.

    `done` is the offset up to which everything is done, `delivered` that up to which batches were
    handed to the processor. `start` and `end` bound the records that the brokers have and let be
    read: others are deleted, or held back by an open transaction. `is_blocked` says that the loop
    of the main thread does not run, so that all this is of before. A partition that is recovered
    has nothing of this, but `to_recover`: how many records of the changelog are still to be read
    before the worker resumes its partitions.
    """

    done: int
    delivered: int
    start: int
    end: int
    is_blocked: bool = False
    to_recover: int | None = None

    @property
    def progress(self) -> tuple[int, int | None]:
        """What changes when the partition makes progress."""
        return self.done, self.to_recover

    @property
    def should_move(self) -> bool:
        """Return whether there is something that is not done, or nobody knows for want of a loop.

        The end is that of the last measurement: what was delivered since then is there too.
        """
        is_busy = self.is_blocked or self.to_recover is not None
        return is_busy or max(self.end, self.delivered) > max(self.done, self.start)


@dataclass(slots=True)
class _Standing:
    """A partition that has something to read, since it was last seen to move.

    `since` is of a monotonic clock, `since_time` in seconds since the epoch.
    """

    reading: Reading
    since: float
    since_time: float
    is_stalled: bool = False


class Stalls:
    """Judges whether partitions make progress: whether what is done of them moves.

    What is delivered does not count: a batch that waits grows with each fetch, while the one before
    it is stuck.
    """

    def __init__(
        self,
        topic: str,
        metrics: Metrics,
        dump: Callable[[], str],
        *,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], float] = time,
    ) -> None:
        """Take the topic, and what returns the dump of tasks and threads for the log."""
        self._topic = topic
        self._gauge = metrics.stalled_seconds
        self._dump = dump
        self._clock = clock
        self._now = now
        self._standing: dict[int, _Standing] = {}
        self._looked_at = clock()
        self._dumped_at: float | None = None

    def warning(self) -> str | None:
        """Return what to tell an operator while partitions are stalled, else None."""
        now, standing = self._clock(), dict(self._standing)
        stalled = [
            self._sentence(partition, each, now)
            for partition, each in sorted(standing.items())
            if each.is_stalled
        ]
        return " ".join([*stalled, "See the worker's log, or `/debug/tasks`."]) if stalled else None

    def look(self, readings: Mapping[int, Reading] | None) -> None:
        """Judge by the partitions that are processed now; None while that can't be judged.

        That is while the brokers do not answer. A partition that is stalled stays so meanwhile; of
        the others the time starts again.
        """
        now = self._clock()
        stood_still = now - self._looked_at > SUSPENDED_AFTER_S
        self._looked_at = now
        if readings is None or stood_still:
            self._standing = {p: each for p, each in self._standing.items() if each.is_stalled}
        if readings is None:
            return
        for partition in self._standing.keys() - readings.keys():
            self._end(partition, "was revoked, or is acquired again,")
            self._gauge.labels(self._topic, partition).set(0)
        for partition, reading in readings.items():
            self._note(partition, reading, now)
        self._tell(now)

    def _note(self, partition: int, reading: Reading, now: float) -> None:
        standing = self._standing.get(partition)
        if standing is not None and reading.progress != standing.reading.progress:
            to = "" if reading.to_recover is not None else f", to offset {reading.done}"
            self._end(partition, f"makes progress again{to},")
            standing = None
        elif standing is not None and not reading.should_move:
            self._end(partition, "has nothing to read any more,")
            standing = None
        stalled_s = 0.0
        if standing is not None:
            standing.reading = reading
            stalled_s = now - standing.since if standing.is_stalled else 0.0
        elif reading.should_move:
            self._standing[partition] = _Standing(reading, now, self._now())
        self._gauge.labels(self._topic, partition).set(stalled_s)

    def _tell(self, now: float) -> None:
        """Log the partitions that are stalled since now, with one dump."""
        lines = []
        for partition, each in sorted(self._standing.items()):
            if not each.is_stalled and now - each.since >= STALLED_AFTER_S:
                each.is_stalled = True
                self._gauge.labels(self._topic, partition).set(now - each.since)
                lines.append(self._sentence(partition, each, now))
        if not lines:
            return
        is_recent = self._dumped_at is not None and now - self._dumped_at < DUMP_AGAIN_AFTER_S
        lines.append(
            "The brokers answer. What to do: DedupPartitionStalled in docs/operations.md. Where "
            f"each task and thread is {'was logged before' if is_recent else 'follows'}; "
            "`/debug/tasks` has it too."
        )
        if is_recent:
            logger.warning("%s", " ".join(lines))
        else:
            self._dumped_at = now
            logger.warning("%s\n%s", " ".join(lines), self._dump())

    def _sentence(self, partition: int, standing: _Standing, now: float) -> str:
        reading, since = standing.reading, datetime.fromtimestamp(standing.since_time, UTC)
        said = (
            f"it is done up to offset {reading.done}, delivered up to {reading.delivered}, and can "
            f"be read up to {reading.end}."
        )
        if reading.to_recover is not None:
            said = f"it is recovered, and {reading.to_recover} records are still to be read."
        return (
            f"Partition {partition} of {self._topic} makes no progress since "
            f"{since.isoformat(timespec='seconds')}, for {now - standing.since:.0f} s: {said}"
        )

    def _end(self, partition: int, why: str) -> None:
        standing = self._standing.pop(partition)
        if standing.is_stalled:
            seconds = self._clock() - standing.since
            logger.info("Partition %s of %s %s after %.0f s.", partition, self._topic, why, seconds)
