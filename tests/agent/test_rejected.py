"""When most of what is read can't be applied, a warning is logged: from how many on, how often."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

from dedup.core.batch_result import BatchResult, Output
from dedup.core.dead_letter import Reason
from dedup.core.decide import ProcessingTime
from dedup.observability.rejected import Rejected


@dataclass(frozen=True)
class Record:
    """As much of a source record as is counted."""

    offset: int
    key: bytes | None = None
    value: bytes | None = None
    timestamp: int = 0
    timestamp_type: int = 0
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


def batch(good: int, dead_letters: list[tuple[Reason, int]], partition: int = 1) -> BatchResult:
    """A batch with so many good events and these dead letters, by reason and source offset."""
    records = [Record(n) for n in range(good + len(dead_letters))]
    return BatchResult(
        partition,
        records,
        ProcessingTime(0, ""),
        named={},
        before={},
        after={},
        states={},
        output=Output(partition, 0, 0, 0, 0),
        emitted=[],
        outcomes={},
        reasons=Counter(reason for reason, _ in dead_letters),
        rejected=dict(dead_letters),
    )


class Time:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def dead_letters(reason: Reason, number: int, first: int = 0) -> list[tuple[Reason, int]]:
    return [(reason, offset) for offset in range(first, first + number)]


def test_the_most_frequent_reason_is_logged_with_its_newest_example() -> None:
    """A later event of a rarer reason is not it."""
    rejected = Rejected(clock=Time())
    made = dead_letters(Reason.INVALID_JSON, 12, 100) + dead_letters(Reason.KEY_MISMATCH, 3, 200)
    rejected.note(batch(10, made))
    assert rejected.warning() == (
        "15 of the last 25 events (60%) are dead letters, most of them for invalid_json, such as "
        "the event at partition 1 offset 111 of the source topic; see `dedup dlq list`."
    )


@pytest.mark.parametrize(
    ("good", "bad", "warned"), [(0, 19, False), (0, 20, True), (10, 10, False), (10, 11, True)]
)
def test_twenty_events_and_more_than_half_of_them_are_needed(
    good: int, bad: int, warned: bool
) -> None:
    rejected = Rejected(clock=Time())
    rejected.note(batch(good, dead_letters(Reason.INVALID_EVENT, bad)))
    assert (rejected.warning() is not None) == warned


def test_only_the_newest_thousand_events_count() -> None:
    """A million good events do not hide what comes now, and fixed events end the warning."""
    rejected = Rejected(clock=Time())
    for _ in range(100):
        rejected.note(batch(500, []))
    for n in range(600):
        rejected.note(batch(0, [(Reason.INVALID_JSON, n)]))
    warned = rejected.warning()
    assert warned is not None
    assert "partition 1 offset 599 " in warned
    for _ in range(1_000):
        rejected.note(batch(1, []))
    assert rejected.warning() is None


def test_dead_letters_of_long_ago_do_not_count() -> None:
    time = Time()
    rejected = Rejected(clock=time)
    rejected.note(batch(0, dead_letters(Reason.INVALID_JSON, 30)))
    time.now = 899
    assert rejected.warning() is not None
    time.now = 901
    assert rejected.warning() is None


def test_the_log_has_it_at_once_and_then_every_ten_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    time = Time()
    rejected = Rejected(clock=time)
    lines = []
    for second in range(0, 1_300, 5):
        time.now = second
        rejected.note(batch(0, dead_letters(Reason.INVALID_JSON, 50, second)))
        if caplog.records:
            lines.append((second, caplog.records[0].levelname))
            caplog.clear()
    assert lines == [(0, "WARNING"), (600, "WARNING"), (1_200, "WARNING")]
