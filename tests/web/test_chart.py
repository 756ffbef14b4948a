"""The chart's scale: one burst must not flatten the rest, and a share stays a share."""

from collections import defaultdict

import pytest

from dedup.web.chart import Chart, chart

EMPTY: dict[str, int] = {}


def heights(plot: Chart, intervals: int = 60) -> list[float]:
    """The height of each bar, from left to right; 0 where there is none."""
    slot = (plot.right - plot.left) / intervals
    found: dict[int, float] = defaultdict(float)
    for bar in plot.bars:
        found[round((bar.x - plot.left) / slot)] += bar.height
    return [found[number] for number in range(intervals)]


def test_a_burst_leaves_the_rest_readable() -> None:
    """74,000 events a second once, 10 a second before and after, as after a restart."""
    quiet = {"change": 30, "duplicate": 20}
    plot = chart([quiet] * 30 + [{"duplicate": 370_000}] + [quiet] * 29, 5)
    tall = heights(plot)
    assert plot.logarithmic
    assert plot.highest == 74_000
    assert tall[30] == max(tall) <= plot.height
    assert min(tall) > plot.height / 5
    assert [tick.label for tick in plot.ticks] == ["0.1", "1", "10", "100", "1k", "10k", "100k"]


def test_a_bar_reaches_the_line_of_its_rate() -> None:
    """On either scale: the labels are true."""
    burst = [{"change": 500_000}]
    for intervals, label in (
        ([{"change": 500}] * 60, "100"),
        ([{"change": 50}] * 59 + burst, "10"),
    ):
        plot = chart(intervals, 5)
        (line,) = [plot.height - tick.y for tick in plot.ticks if tick.label == label]
        assert heights(plot)[0] == pytest.approx(line)


def test_an_even_load_has_a_linear_scale_from_nothing() -> None:
    plot = chart([{"change": 100 + n} for n in range(60)], 5)
    tall = heights(plot)
    assert not plot.logarithmic
    assert tall[59] / tall[0] == pytest.approx(159 / 100)
    assert [(tick.label, tick.y) for tick in plot.ticks] == [("0", 160), ("25", 80), ("50", 0)]


def test_each_outcome_takes_its_share_of_the_bar_on_either_scale() -> None:
    mixed = {"change": 75, "duplicate": 25}
    for last in (mixed, {"change": 1_000_000}):
        plot = chart([mixed] * 59 + [last], 5)
        first = {bar.outcome: bar.height for bar in plot.bars if bar.x == plot.left}
        assert first["change"] / first["duplicate"] == pytest.approx(3)


def test_no_events_and_one_event_have_a_chart_too() -> None:
    assert chart([EMPTY] * 60, 5).bars == []
    (bar,) = chart([EMPTY] * 59 + [{"stale": 1}], 5).bars
    assert 0 < bar.height <= 160
    assert bar.title == "5 s ago: 0.2 stale/s"


@pytest.mark.parametrize("highest", [1, 7, 49, 50, 51, 999, 123_456, 5_000_000])
def test_nothing_leaves_the_chart(highest: int) -> None:
    for rest in (1, highest):
        plot = chart([{"change": rest}] * 59 + [{"change": highest}], 5)
        for bar in plot.bars:
            assert bar.y >= -1e-9
            assert bar.x >= plot.left
            assert bar.x + bar.width <= plot.right
        assert all(-1e-9 <= tick.y <= plot.height for tick in plot.ticks)
