"""Renders the HTML. Everything is escaped: a product name can be any text."""

from collections.abc import Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from dedup.core.decide import Outcome
from dedup.web.chart import chart

MEANINGS: Final[Mapping[Outcome, str]] = {
    Outcome.CHANGE: "new product or new content; emitted",
    Outcome.REFRESH: "unchanged; emitted again because the last emission is old",
    Outcome.TOMBSTONE: "product deleted; a null value is emitted",
    Outcome.DUPLICATE: "content equal to the known state",
    Outcome.STALE: "event time older than that of the known state",
    Outcome.REPLAYED: "already applied; read again after a crash",
    Outcome.DEAD_LETTER: "can't be applied; written to the dead-letter topic",
}

OBSERVED: Final[Mapping[Outcome, str]] = {
    **MEANINGS,
    Outcome.CHANGE: "new product or new content; would be emitted",
    Outcome.REFRESH: "unchanged; would be emitted again because the last emission is old",
    Outcome.TOMBSTONE: "product deleted; a null value would be emitted",
    Outcome.DEAD_LETTER: "can't be applied; would be written to the dead-letter topic",
}
"""The meanings in a dry run, which emits nothing."""

_BYTES_STEP: Final = 1024


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"  # noqa: RUF001 - a dash for: not known


def _rate(value: float) -> str:
    return f"{value:,.1f}" if value < 10 else f"{value:,.0f}"  # noqa: PLR2004 - at least two digits


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"  # noqa: RUF001 - as above


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if value < _BYTES_STEP:
            return f"{value:,.0f} {unit}"
        value /= _BYTES_STEP
    return f"{value:,.1f} GiB"


def _time(value: str | None) -> str:
    """Return a time for display: to the millisecond, without `T` and `Z`."""
    return "–" if not value else value.replace("T", " ").rstrip("Z")[:23]  # noqa: RUF001 - as above


def _clock(value: str) -> str:
    """Return the time of day, to the second."""
    return value[11:19]


def _words(value: str) -> str:
    return value.replace("_", " ")


def _offset(value: int | None) -> str:
    """Return an offset as commands accept it: without separators."""
    return "–" if value is None else str(value)  # noqa: RUF001 - as above


def _field(name: str) -> Markup:
    """Return the name of a field, which may break after an underscore."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _code(text: str) -> Markup:
    """Return a text with what is between backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


_pages: Final = Environment(
    loader=PackageLoader("dedup.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_pages.filters.update(
    number=_number,
    rate=_rate,
    share=_share,
    bytes=_bytes,
    time=_time,
    clock=_clock,
    words=_words,
    offset=_offset,
    field=_field,
    code=_code,
)
_pages.globals.update(chart=chart, meanings=MEANINGS, observed=OBSERVED)


def render(template: str, **values: Any) -> str:
    """Return the HTML of a template."""
    return _pages.get_template(template).render(**values)
