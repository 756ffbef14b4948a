"""Renders the HTML and the JSON. Everything is escaped: what a row holds can be any text."""

import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp.web import Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from pydantic import BaseModel

from dedup.core.decide import Outcome
from dedup.core.explain import span
from dedup.web.chart import chart
from dedup.web.entity_view import Column, EntityView, shown_id

_MEANINGS: Final[Mapping[Outcome, str]] = {
    Outcome.CHANGE: "new {name} or new content; {would}emitted",
    Outcome.REFRESH: "unchanged; {would}emitted again because the last emission is old",
    Outcome.TOMBSTONE: "{name} deleted; a null value {is} emitted",
    Outcome.DUPLICATE: "content equal to the known state",
    Outcome.STALE: "event time older than that of the known state",
    Outcome.REPLAYED: "already applied; read again after a crash",
    Outcome.DEAD_LETTER: "can't be applied; {would}written to the dead-letter topic",
}
_MEANINGS_BY_STRATEGY: Final[Mapping[str, Mapping[Outcome, str]]] = {
    "latest": {},
    "distinct": {
        Outcome.REFRESH: "unchanged; {would}emitted again because its window has ended",
        Outcome.DUPLICATE: "content that was emitted within the window",
    },
    "event_id": {
        Outcome.REFRESH: "unchanged; {would}emitted because its event id is new",
        Outcome.DUPLICATE: "event id that was emitted within the window",
    },
}


def meanings(strategy: str, *, dry_run: bool) -> dict[Outcome, str]:
    """Return what each outcome means with a strategy; a dry run emits nothing."""
    would, be = ("would be ", "would be") if dry_run else ("", "is")
    texts = {**_MEANINGS, **_MEANINGS_BY_STRATEGY[strategy]}
    return {
        outcome: text.replace("{would}", would).replace("{is}", be)
        for outcome, text in texts.items()
    }


_BYTES_STEP: Final = 1024
_LONGEST_CELL: Final = 40
_NULL: Final = Markup('<span class="none">null</span>')
_TEXT: Final = Markup("<bdi>{}</bdi>")  # so a text from right to left moves nothing beside it


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


def _id(row_id: int | str) -> Markup:
    return _TEXT.format(shown_id(row_id))


def _value(value: Any) -> Markup:
    """Return a value as it is: null, true and false as in JSON."""
    if value is None:
        return _NULL
    if isinstance(value, bool):
        return escape(json.dumps(value))
    return _TEXT.format(value) if isinstance(value, str) else escape(value)


def _cell(value: Any, column: Column) -> Markup:
    """Return a value for the list: on one line, and not much of a long one."""
    if value is None or isinstance(value, bool):
        return _value(value)
    if isinstance(value, (dict, list)):
        return Markup("<code>{}</code>").format(_cut(json.dumps(value, ensure_ascii=False)))
    if column.kind == "time":
        return escape(_time(str(value)))
    if column.kind == "word":
        return escape(_words(str(value)))
    return _TEXT.format(_cut(value)) if isinstance(value, str) else escape(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


def _full(value: Any) -> Markup:
    """Return a whole value, JSON on several lines."""
    if isinstance(value, (dict, list)) and value:
        text = json.dumps(value, ensure_ascii=False, indent=2)
        return Markup('<pre tabindex="0">{}</pre>').format(text)
    if isinstance(value, (dict, list)):
        return Markup("<code>{}</code>").format(json.dumps(value))
    return _value(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _code(text: str) -> Markup:
    """Return a text with what is between backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def _duration(seconds: float) -> str:
    return span(round(seconds * 1_000_000))


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
    id=_id,
    value=_value,
    cell=_cell,
    full=_full,
    json=_json,
    duration=_duration,
)
_pages.globals.update(chart=chart, meanings=meanings)


def render(template: str, entity: EntityView, **values: Any) -> str:
    """Return the HTML of a template."""
    return _pages.get_template(template).render(entity=entity, **values)


def json_response(model: BaseModel, status: int = 200) -> Response:
    """Return a model as JSON."""
    return Response(text=model.model_dump_json(), content_type="application/json", status=status)
