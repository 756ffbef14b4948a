"""A mix of events: its shares, its skew, and what is refused."""

from collections import Counter
from datetime import UTC, datetime
from itertools import islice

import pytest

from producer.events import EventGenerator, GeneratedEvent, Kind, Mix

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def generate(count: int, mix: Mix) -> list[GeneratedEvent]:
    return list(islice(EventGenerator(1, lambda: NOON, mix), count))


def test_the_skew_prefers_low_product_ids() -> None:
    count = 20_000
    seen = Counter(event.key for event in generate(count, Mix(products=1_000, zipf=1.2)))
    assert seen[b"1"] > 5 * seen[b"20"] > 0
    flat = Counter(event.key for event in generate(count, Mix(products=10, zipf=0.0)))
    assert max(flat.values()) < 1.5 * min(flat.values())


@pytest.mark.parametrize(
    "fault",
    [
        {"products": 0},
        {"duplicates": -0.1},
        {"late": 1.1},
        {"duplicates": 0.5, "partial": 0.6},
        {"duplicates": float("nan")},
        {"redeliveries": -0.1},
        {"redeliveries": 0.5, "reverts": 0.5},
        {"zipf": -1.0},
        {"zipf": float("nan")},
    ],
)
def test_an_impossible_mix_is_refused(fault: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"product|share|skew"):
        Mix(**fault)  # type: ignore[arg-type]  # the fault is the point


def test_shares_that_fill_everything_are_accepted() -> None:
    events = generate(2_000, Mix(duplicates=0.1, late=0.2, partial=0.7))
    assert Counter(event.kind for event in events)[Kind.NEW] < 20
