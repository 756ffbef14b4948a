"""When most of what is read can't be applied, a warning is logged, once, and later its end."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

from dedup.core.batch_result import BatchResult, Output, Rejection
from dedup.core.codec import Codec
from dedup.core.dead_letter import Reason
from dedup.core.decide import ProcessingTime, Rules
from dedup.entities.product import PRODUCT
from dedup.observability.metrics import Metrics
from dedup.observability.rejected import Rejected
from tests.support.products import ROW_FORMAT

CODEC = Codec(PRODUCT)


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
        states={},
        output=Output(partition, 0, 0, 0, 0, ROW_FORMAT),
        outcomes={},
        reasons=Counter(reason for reason, _ in dead_letters),
        rejected={reason: Rejection(n, f"No {n} is bad.") for reason, n in dead_letters},
    )


class Time:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def dead_letters(reason: Reason, number: int, first: int = 0) -> list[tuple[Reason, int]]:
    return [(reason, offset) for offset in range(first, first + number)]


def watching(time: Time, *, dry_run: bool = False) -> tuple[Rejected, Metrics]:
    metrics = Metrics(Rules(codec=CODEC))
    return Rejected(metrics, dry_run=dry_run, clock=time), metrics


def gauge(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("dedup_mostly_dead_letters")


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records]


def test_the_most_frequent_reason_is_said_with_its_newest_example_and_what_is_wrong_with_it() -> (
    None
):
    """A later event of a rarer reason is not it."""
    rejected, _ = watching(Time())
    made = dead_letters(Reason.INVALID_JSON, 12, 100) + dead_letters(Reason.KEY_MISMATCH, 3, 200)
    rejected.note(batch(10, made))
    assert rejected.warning() == (
        "15 of the last 25 events (60%) are dead letters, most often for invalid_json, such as the "
        "event at partition 1 offset 111 of the source topic: No 111 is bad. See `dedup dlq list`."
    )


def test_a_dry_run_says_what_would_be() -> None:
    rejected, _ = watching(Time(), dry_run=True)
    rejected.note(batch(0, dead_letters(Reason.KEY_MISSING, 20)))
    said = rejected.warning()
    assert said is not None
    assert said.startswith("20 of the last 20 events (100%) would be dead letters, ")
    assert said.endswith(" A dry run writes none.")


@pytest.mark.parametrize(
    ("good", "bad", "warned"), [(0, 19, False), (0, 20, True), (10, 10, False), (10, 11, True)]
)
def test_twenty_events_and_more_than_half_of_them_are_needed(
    good: int, bad: int, warned: bool
) -> None:
    rejected, metrics = watching(Time())
    rejected.note(batch(good, dead_letters(Reason.INVALID_EVENT, bad)))
    assert (rejected.warning() is not None) == warned
    assert gauge(metrics) == warned


def test_a_worker_that_was_well_warns_once_most_of_five_minutes_are_dead_letters() -> None:
    """Ten events a second, all good for ten minutes, then all bad."""
    time = Time()
    rejected, _ = watching(time)
    warned = []
    for second in range(1_000):
        time.now = second
        rejected.note(
            batch(0, dead_letters(Reason.INVALID_JSON, 10)) if second >= 600 else batch(10, [])
        )
        if rejected.warning() is not None:
            warned.append(second)
    assert warned == list(range(750, 1_000))


def test_of_a_slow_topic_the_newest_twenty_events_count() -> None:
    """An event every 40 s: 8 in five minutes, 20 in less than fifteen."""
    time = Time()
    rejected, _ = watching(time)
    for n in range(19):
        time.now = 40 * n
        rejected.note(batch(0, [(Reason.INVALID_JSON, n)]))
        assert rejected.warning() is None
    time.now += 40
    rejected.note(batch(0, [(Reason.INVALID_JSON, 19)]))
    assert rejected.warning() is not None


@pytest.mark.parametrize(("after", "warned"), [(900, True), (901, False)])
def test_dead_letters_of_long_ago_do_not_count(after: float, warned: bool) -> None:
    time = Time()
    rejected, metrics = watching(time)
    rejected.note(batch(0, dead_letters(Reason.INVALID_JSON, 30)))
    time.now = after
    assert gauge(metrics) == warned
    assert (rejected.warning() is not None) == warned


def test_an_episode_is_one_warning_and_one_line_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However long it lasts, and also where the share moves about a half."""
    caplog.set_level("INFO")
    time = Time()
    rejected, metrics = watching(time)
    for second in range(2_000):
        time.now = second
        bad = (8, 1, 7)[second % 3]
        rejected.note(batch(10 - bad, dead_letters(Reason.INVALID_JSON, bad, second)))
        assert gauge(metrics) == (second >= 2)
    assert levels(caplog) == ["WARNING"]
    for second in range(2_000, 2_400):
        time.now = second
        rejected.note(batch(10, []))
    assert levels(caplog) == ["WARNING", "INFO"]
    assert caplog.messages[1] == (
        "The warning about dead letters is over: 752 of the last 3,010 events (25%) are dead "
        "letters."
    )
    assert gauge(metrics) == 0
    rejected.note(batch(0, dead_letters(Reason.INVALID_JSON, 9_000)))
    assert levels(caplog) == ["WARNING", "INFO", "WARNING"]


def test_an_episode_also_ends_where_nothing_is_read_any_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    time = Time()
    rejected, metrics = watching(time)
    rejected.note(batch(0, dead_letters(Reason.INVALID_JSON, 30)))
    time.now = 901
    assert gauge(metrics) == 0
    assert levels(caplog) == ["WARNING", "INFO"]
    assert caplog.messages[1].endswith(": 0 of the last 0 events (none) are dead letters.")


def test_a_healthy_worker_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """One event in a hundred is bad, and now and then a batch has nothing else."""
    caplog.set_level("INFO")
    time = Time()
    rejected, metrics = watching(time)
    for second in range(1_000):
        time.now = second
        bad = 500 if second % 100 == 99 else 5
        rejected.note(batch(500 - bad, dead_letters(Reason.INVALID_JSON, bad)))
        assert gauge(metrics) == 0
    assert levels(caplog) == []
