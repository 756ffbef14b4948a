"""When a partition counts as stalled, by a clock of the test's, and what is logged of it."""

import logging
from dataclasses import replace

import pytest

from dedup.core.codec import Codec
from dedup.core.decide import Rules
from dedup.entities.product import PRODUCT
from dedup.observability.metrics import Metrics
from dedup.observability.stalls import STALLED_AFTER_S, SUSPENDED_AFTER_S, Reading, Stalls

LOOK_S = 5.0
STUCK = Reading(done=120, delivered=140, start=0, end=900)
NOON = 1_767_268_800.0
"""2026-01-01 12:00:00 UTC."""


class Watched:
    """Looks every five seconds at what the test says of the partitions."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.dumps = 0
        self.metrics = Metrics(Rules(codec=Codec(PRODUCT)))
        self.stalls = Stalls(
            "products",
            self.metrics,
            self._dump,
            clock=lambda: self.now,
            now=lambda: NOON + self.now - 1_000,
        )

    def _dump(self) -> str:
        self.dumps += 1
        return f"dump {self.dumps}\n  a.py:1 f"

    def look(self, readings: dict[int, Reading] | None) -> None:
        self.now += LOOK_S
        self.stalls.look(readings)

    def look_for(self, seconds: float, readings: dict[int, Reading] | None) -> None:
        for _ in range(round(seconds / LOOK_S)):
            self.look(readings)

    def gauge(self, partition: int) -> float | None:
        labels = {"topic": "products", "partition": str(partition)}
        return self.metrics.registry.get_sample_value("dedup_stalled_seconds", labels)


@pytest.fixture
def watched(caplog: pytest.LogCaptureFixture) -> Watched:
    caplog.set_level(logging.INFO, "dedup")
    return Watched()


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_a_partition_that_does_not_move_for_a_minute_is_logged_once_with_a_dump(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """First seen at 12:00:05; with offsets and time."""
    watched.look({0: STUCK})
    watched.look_for(STALLED_AFTER_S - LOOK_S, {0: STUCK})
    assert logged(caplog) == []
    assert watched.gauge(0) == 0
    assert watched.stalls.warning() is None
    watched.look_for(3_600, {0: STUCK})

    text = (
        "Partition 0 of products makes no progress since 2026-01-01T12:00:05+00:00, for 60 s: "
        "it is done up to offset 120, delivered up to 140, and can be read up to 900. The "
        "brokers answer. What to do: DedupPartitionStalled in docs/operations.md. Where each "
        "task and thread is follows; `/debug/tasks` has it too.\ndump 1\n  a.py:1 f"
    )
    assert logged(caplog) == [("WARNING", text)]
    assert watched.gauge(0) == 3_600 + STALLED_AFTER_S - LOOK_S
    warning = watched.stalls.warning()
    assert warning is not None
    assert "Partition 0 of products makes no progress since 2026-01-01T12:00:05+00:00" in warning
    assert "dump" not in warning


def test_its_end_is_logged_once_with_the_duration(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.look_for(STALLED_AFTER_S + LOOK_S, {0: STUCK})
    caplog.clear()
    moved = replace(STUCK, done=130)
    watched.look_for(3 * LOOK_S, {0: moved})

    text = "Partition 0 of products makes progress again, to offset 130, after 65 s."
    assert logged(caplog) == [("INFO", text)]
    assert watched.gauge(0) == 0
    assert watched.stalls.warning() is None


def test_a_second_episode_is_logged_with_a_dump_of_its_own(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.look_for(STALLED_AFTER_S + LOOK_S, {0: STUCK})
    again = replace(STUCK, done=121)
    watched.look_for(STALLED_AFTER_S + LOOK_S, {0: again})

    assert [level for level, _ in logged(caplog)] == ["WARNING", "INFO", "WARNING"]
    assert "dump 2" in logged(caplog)[2][1]


def test_one_that_moves_is_not_stalled_however_far_behind_it_is(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch of one event in five seconds is progress."""
    for number in range(60):
        watched.look({0: Reading(number, number, 0, 10**9)})
    assert logged(caplog) == []


def test_one_that_is_delivered_more_and_more_and_does_nothing_is_stalled(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch that waits behind the stuck one grows with each event that arrives."""
    for number in range(14):
        watched.look({0: replace(STUCK, delivered=140 + number, end=140 + number)})
    assert [level for level, _ in logged(caplog)] == ["WARNING"]


def test_one_whose_records_are_delivered_to_the_end_and_not_done_is_stalled(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.look_for(STALLED_AFTER_S + LOOK_S, {0: replace(STUCK, delivered=900)})
    assert [level for level, _ in logged(caplog)] == ["WARNING"]


@pytest.mark.parametrize(
    "reading",
    [
        Reading(done=900, delivered=900, start=0, end=900),
        Reading(done=900, delivered=900, start=0, end=880),
        Reading(done=120, delivered=120, start=900, end=900),
    ],
    ids=["all is done", "the end is of before", "what was to be read is deleted"],
)
def test_one_with_nothing_to_read_is_not_stalled(
    watched: Watched, caplog: pytest.LogCaptureFixture, reading: Reading
) -> None:
    """An open transaction holds the end back, so events behind it are nothing to read."""
    watched.look_for(600, {0: reading})
    assert logged(caplog) == []
    assert watched.gauge(0) == 0


def test_the_time_without_anything_to_read_does_not_count(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """Idle for an hour; then an event comes, and its batch may take a while."""
    watched.look_for(3_600, {0: replace(STUCK, done=900)})
    watched.look_for(STALLED_AFTER_S, {0: replace(STUCK, done=900, end=901)})
    assert logged(caplog) == []
    watched.look({0: replace(STUCK, done=900, end=901)})
    assert [level for level, _ in logged(caplog)] == ["WARNING"]


def test_while_the_brokers_are_away_nothing_is_stalled_and_the_time_starts_again(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.look_for(STALLED_AFTER_S, {0: STUCK})
    watched.look_for(600, None)
    watched.look_for(STALLED_AFTER_S, {0: STUCK})
    assert logged(caplog) == []
    watched.look({0: STUCK})
    assert [level for level, _ in logged(caplog)] == ["WARNING"]


def test_brokers_that_go_away_do_not_end_an_episode(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """It would be logged again, as another one, when they are back."""
    watched.look_for(STALLED_AFTER_S + LOOK_S, {0: STUCK})
    watched.look_for(60, None)
    watched.look_for(600, {0: STUCK})
    assert [level for level, _ in logged(caplog)] == ["WARNING"]


def test_a_rebalance_or_a_recovery_starts_the_time_again(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """No partition is processed meanwhile."""
    watched.look_for(STALLED_AFTER_S, {0: STUCK})
    watched.look({})
    watched.look_for(STALLED_AFTER_S, {0: STUCK})
    assert logged(caplog) == []


def test_an_episode_ends_when_the_partition_goes_to_another_worker(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.look_for(STALLED_AFTER_S + LOOK_S, {0: STUCK, 1: replace(STUCK, done=900)})
    caplog.clear()
    watched.look_for(60, {1: replace(STUCK, done=900)})

    text = "Partition 0 of products was revoked, or is acquired again, after 65 s."
    assert logged(caplog) == [("INFO", text)]
    assert watched.stalls.warning() is None
    assert watched.gauge(0) == 0


def test_a_process_that_was_suspended_is_judged_anew(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """By the figures of before nothing has moved for an hour: nothing could."""
    watched.look({0: STUCK})
    watched.now += 3_600
    watched.look_for(STALLED_AFTER_S, {0: STUCK})
    assert logged(caplog) == []
    watched.look({0: STUCK})
    assert [level for level, _ in logged(caplog)] == ["WARNING"]
    assert STALLED_AFTER_S > SUSPENDED_AFTER_S > 2 * LOOK_S


def test_partitions_that_stall_together_are_one_warning(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """Each with its offsets; those that move are not named."""
    for number in range(14):
        moves = Reading(number, number, 0, 10**9)
        watched.look({0: STUCK, 1: moves, 2: replace(STUCK, done=7)})

    ((level, text),) = logged(caplog)
    assert level == "WARNING"
    assert "Partition 0 of products" in text
    assert "Partition 2 of products" in text
    assert "done up to offset 7," in text
    assert "Partition 1 of products" not in text
    assert watched.dumps == 1


def test_one_that_follows_within_a_minute_is_a_warning_without_a_second_dump(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.look_for(30, {0: STUCK})
    watched.look_for(120, {0: STUCK, 1: STUCK})

    first, second = logged(caplog)
    assert "dump 1" in first[1]
    assert "Partition 1 of products" in second[1]
    assert "Where each task and thread is was logged before" in second[1]
    assert "\n" not in second[1]
    assert watched.dumps == 1


def test_one_that_follows_later_has_a_dump_of_its_own(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.look_for(120, {0: STUCK})
    watched.look_for(120, {0: STUCK, 1: STUCK})

    assert [level for level, _ in logged(caplog)] == ["WARNING", "WARNING"]
    assert "dump 2" in logged(caplog)[1][1]


def test_a_recovery_that_hangs_is_logged_and_its_end_too(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    for left in (900, 500, 0):
        watched.look({0: Reading(0, 0, 0, 0, to_recover=left)})
    watched.look_for(STALLED_AFTER_S, {0: Reading(0, 0, 0, 0, to_recover=0)})
    watched.look({0: replace(STUCK, done=0)})
    (level, text), end = logged(caplog)
    assert level == "WARNING"
    assert "it is recovered, and 0 records are still to be read." in text
    assert end[0] == "INFO"
    assert "makes progress again, to offset 0," in end[1]
