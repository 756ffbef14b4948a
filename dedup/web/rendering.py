"""Makes HTML of what is shown. Everything is escaped: names of products are anybody's text."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from dedup.core.decide import Outcome

MEANINGS: Final[Mapping[Outcome, str]] = {
    Outcome.CHANGE: "a new product or new content: emitted",
    Outcome.REFRESH: "unchanged, emitted again because the last emission is old",
    Outcome.TOMBSTONE: "the product was deleted: a null value is emitted",
    Outcome.DUPLICATE: "the content equals the known state",
    Outcome.STALE: "older by event time than what is known",
    Outcome.REPLAYED: "applied already, read again after a crash",
    Outcome.DEAD_LETTER: "can't be applied: on the dead-letter topic",
}

_WIDTH: Final = 720
_HEIGHT: Final = 160
_BAR_SHARE: Final = 0.8
_BYTES_STEP: Final = 1024


class Bar(NamedTuple):
    """A rectangle of the chart: one outcome in one interval. Lengths are in units of the SVG."""

    outcome: str
    x: float
    y: float
    width: float
    height: float
    title: str


class Chart(NamedTuple):
    """Stacked bars of events a second, one for each interval, oldest at the left."""

    width: int
    height: int
    top: float
    bars: list[Bar]


def chart(intervals: list[dict[str, int]], seconds: int) -> Chart:
    """Lay the chart of events by outcome out."""
    highest = max((sum(counts.values()) for counts in intervals), default=0) or 1
    slot = _WIDTH / max(1, len(intervals))
    bars = []
    for number, counts in enumerate(intervals):
        y = float(_HEIGHT)
        ago = (len(intervals) - number) * seconds
        for outcome in Outcome:
            events = counts.get(outcome, 0)
            if events:
                height = _HEIGHT * events / highest
                y -= height
                title = f"{ago} s ago: {events / seconds:,.1f} {outcome.replace('_', ' ')}/s"
                x = number * slot
                bars.append(Bar(outcome, x, y, slot * _BAR_SHARE, height, title))
    return Chart(_WIDTH, _HEIGHT, highest / seconds, bars)


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"  # noqa: RUF001 - a dash: not known


def _rate(value: float) -> str:
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"  # noqa: PLR2004 - two digits at least


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"  # noqa: RUF001 - as above


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if value < _BYTES_STEP:
            return f"{value:,.0f} {unit}"
        value /= _BYTES_STEP
    return f"{value:,.1f} GiB"


def _time(value: str | None) -> str:
    """Give a time as people read it: to the millisecond, without the letters."""
    return "–" if not value else value.replace("T", " ").rstrip("Z")[:23]  # noqa: RUF001 - as above


def _words(value: str) -> str:
    return value.replace("_", " ")


_pages: Final = Environment(
    loader=PackageLoader("dedup.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_pages.filters.update(
    number=_number, rate=_rate, share=_share, bytes=_bytes, time=_time, words=_words
)
_pages.globals.update(chart=chart, meanings=MEANINGS)


def render(template: str, **shown: Any) -> str:
    """Give the HTML of a template."""
    return _pages.get_template(template).render(**shown)
