"""How long a record has waited: bounded by what was seen, whatever its timestamp says."""

from random import Random

import pytest

from dedup.observability.ages import BELIEVED_S, ENDS_KEPT, Arrivals, believable_age
from tests.agent.conftest import Bench
from tests.support.records import batch, event, record

NOW_S = 1_767_225_600.0
NOW_MS = 1_767_225_600_000


@pytest.mark.parametrize(
    ("timestamp_ms", "age"),
    [
        (NOW_MS, 0.0),
        (NOW_MS - 1_500, 1.5),
        (NOW_MS - 6 * 86_400_000, 6 * 86_400.0),
        (NOW_MS + 5_000, 0.0),  # a clock that is a little ahead
        (0, None),
        (-1, None),
        (NOW_MS - 30 * 365 * 86_400_000, None),
        (NOW_MS + 3_600_000, None),
        (NOW_MS * 1_000, None),  # microseconds
        (NOW_MS * 1_000_000, None),  # nanoseconds
        (NOW_MS // 1_000, None),  # seconds
        (2**63 - 1, None),
        (-(2**63), None),
    ],
)
def test_a_timestamp_is_believed_only_where_it_can_be_true(
    timestamp_ms: int, age: float | None
) -> None:
    assert believable_age(timestamp_ms, NOW_S) == age


def test_what_came_between_two_looks_has_waited_for_the_time_between_these_and_now() -> None:
    arrivals = Arrivals()
    arrivals.note(10, 100.0)
    arrivals.note(10, 102.0)
    arrivals.note(15, 104.0)
    arrivals.note(20, 106.0)
    assert arrivals.waited(9, 110.0) == (10.0, None)  # it was there before the first look
    assert arrivals.waited(10, 110.0) == (6.0, 8.0)
    assert arrivals.waited(12, 110.0) == (6.0, 8.0)
    assert arrivals.waited(15, 110.0) == (4.0, 6.0)
    assert arrivals.waited(20, 110.0) == (0.0, 4.0)  # it is not there yet


def test_a_topic_that_was_recreated_is_seen_for_the_first_time() -> None:
    arrivals = Arrivals()
    arrivals.note(1_000, 100.0)
    arrivals.note(3, 200.0)
    assert arrivals.waited(0, 201.0) == (1.0, None)


@pytest.mark.parametrize("seed", range(5))
def test_the_bounds_hold_and_stay_few_however_long_nothing_is_done(seed: int) -> None:
    """A day of looks, with the offset moving late, in jumps, or not at all."""
    random = Random(seed)
    arrivals, came, offset = Arrivals(), [0.0], 0
    for look in range(43_200):
        now = 2.0 * look
        came += [now - random.random() for _ in range(random.choice((0, 0, 1, 3)))]
        arrivals.note(len(came), now)
        if random.random() < 0.001:
            offset = random.randint(offset, len(came) - 1)
        at_least, at_most = arrivals.waited(offset, now)
        if offset < len(came):
            waited = now - came[offset]
            assert at_least <= waited
            assert at_most is None or waited <= at_most
    assert len(arrivals._seen) <= ENDS_KEPT


@pytest.mark.parametrize("timestamp_ms", [0, -1, NOW_MS * 1_000, 2**62])
async def test_an_event_with_a_foreign_timestamp_is_in_no_latency(
    bench: Bench, timestamp_ms: int
) -> None:
    """Its 56 years would be the mean of the month."""
    foreign = record(0, event())
    foreign = type(foreign)(**{**vars(foreign), "timestamp": timestamp_ms})
    await bench.app.deduplicator.apply(batch(foreign))
    registry = bench.app.metrics.registry
    assert registry.get_sample_value("dedup_end_to_end_seconds_count") == 0
    assert registry.get_sample_value("dedup_batch_seconds_count") == 1
    assert bench.outcomes() == {"change": 1}
    assert BELIEVED_S < NOW_S
