"""The chart of events by outcome: stacked bars that stay readable after a burst."""

from math import log10
from typing import Final, NamedTuple

from dedup.core.decide import Outcome

GUTTER: Final = 58
"""Width of the scale's labels, left of the bars."""

_WIDTH: Final = 720
_HEIGHT: Final = 160
_BAR_SHARE: Final = 0.8
_BURST: Final = 20
"""The scale is logarithmic if the highest bar exceeds the lower quartile by this factor."""

_LOWEST: Final = 0.1
"""Start of the logarithmic scale: below the rate of one event in an interval of 5 s."""

_STEPS: Final = (1.0, 2.0, 5.0, 10.0)


class Bar(NamedTuple):
    """A rectangle of the chart: one outcome in one interval. Lengths are in units of the SVG."""

    outcome: str
    x: float
    y: float
    width: float
    height: float
    title: str


class Tick(NamedTuple):
    """A line of the scale and its label."""

    y: float
    label: str


class Chart(NamedTuple):
    """Stacked bars of events per second, one for each interval, oldest on the left."""

    left: int
    right: int
    height: int
    highest: float
    logarithmic: bool
    ticks: list[Tick]
    bars: list[Bar]


def chart(intervals: list[dict[str, int]], seconds: int) -> Chart:
    """Return the layout of the chart.

    The height of a bar is its rate, on a logarithmic scale if the intervals contain a burst.
    Within a bar, the height of an outcome is proportional to its number of events.
    """
    rates = [sum(counts.values()) / seconds for counts in intervals]
    highest, busy = max(rates, default=0.0), sorted(rate for rate in rates if rate)
    logarithmic = bool(busy) and highest > _BURST * busy[len(busy) // 4]
    top = _above(highest, logarithmic=logarithmic)

    def height(rate: float) -> float:
        if logarithmic:
            return _HEIGHT * max(0.0, log10(rate / _LOWEST)) / log10(top / _LOWEST) if rate else 0.0
        return _HEIGHT * rate / top

    slot = (_WIDTH - GUTTER) / max(1, len(intervals))
    bars = []
    for number, (counts, rate) in enumerate(zip(intervals, rates, strict=True)):
        y = float(_HEIGHT)
        ago = (len(intervals) - number) * seconds
        for outcome in Outcome:
            events = counts.get(outcome, 0)
            if events:
                part = height(rate) * events / (rate * seconds)
                y -= part
                title = f"{ago} s ago: {events / seconds:,.1f} {outcome.replace('_', ' ')}/s"
                bars.append(Bar(outcome, GUTTER + number * slot, y, slot * _BAR_SHARE, part, title))
    values = (
        [10.0**n for n in range(-1, round(log10(top)) + 1)] if logarithmic else [0.0, top / 2, top]
    )
    ticks = [Tick(_HEIGHT - height(value), _short(value)) for value in values]
    return Chart(GUTTER, _WIDTH, _HEIGHT, highest, logarithmic, ticks, bars)


def _above(highest: float, *, logarithmic: bool) -> float:
    """Return the end of the scale: a power of ten, or 2 or 5 times one on a linear scale."""
    power = 1.0
    while power * 10 < highest:
        power *= 10
    return next(power * s for s in (_STEPS[-1:] if logarithmic else _STEPS) if power * s >= highest)


def _short(value: float) -> str:
    """Return a rate in short form: 500, 2.5k, 1M."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
