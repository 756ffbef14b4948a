"""Draws the pictures of docs/strategies.md: `python -m docs.generate.strategies docs/images`.

What is emitted is decided by the worker's own rules.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from dedup.core.batch import decide_batch
from dedup.core.codecs import codec_for
from dedup.core.decide import ProcessingTime, Rules
from dedup.core.keys import Id
from dedup.core.state import State
from dedup.core.window import Strategy
from dedup.entities.product import PRODUCT

WINDOW_MIN: Final = 10
STORY: Final = (
    (0, 0, "A", "e1"),
    (2, 0, "A", "e1"),
    (4, 4, "B", "e2"),
    (6, 6, "A", "e3"),
    (8, 8, "A", "e4"),
    (13, 13, "A", "e5"),
)
"""Minute of arrival, minute of the event time, content, event id."""

_LEFT: Final = 130
_STEP: Final = 41
_END_MIN: Final = 14
_COLOURS: Final = {"A": "#3949ab", "B": "#00897b"}
_HEAD: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 190" role="img" '
    'font-family="sans-serif" font-size="14">\n'
    '<rect width="720" height="190" fill="#fff"/>\n'
)


class Source(NamedTuple):
    """A record of the source topic."""

    offset: int
    key: bytes
    value: bytes


def told(strategy: Strategy) -> list[str]:
    """Return what becomes of each event of the story: its outcome."""
    codec = codec_for(PRODUCT, None)
    minutes = None if strategy == "latest" else WINDOW_MIN * 60_000_000
    rules = Rules(codec=codec, strategy=strategy, window_us=minutes)
    known: dict[Id, State] = {}
    outcomes = []
    for offset, (_, minute, content, event_id) in enumerate(STORY):
        record = Source(offset, b"1", _event(minute, content, event_id))
        decided = decide_batch([record], known, 0, ProcessingTime(0, "-"), rules)
        outcomes += [outcome.value for outcome in decided.outcomes]
    return outcomes


def _event(minute: int, content: str, event_id: str) -> bytes:
    time = f"2026-01-01T00:{minute:02}:00.000000Z"
    product = {"product_id": 1, "product_name": content, "description": None, "price": "1.00"}
    return json.dumps(
        {
            "event_id": event_id,
            "action": "updated",
            "timestamp": time,
            "product": product
            | {"stock_quantity": 1, "discount": "0.00", "created_at": time, "updated_at": time},
            "old_price": None,
        }
    ).encode()


def picture(strategy: Strategy) -> str:
    """Return the picture of what a strategy does with the story, as SVG."""
    return _HEAD + "\n".join(_shapes(told(strategy))) + "\n</svg>\n"


def _shapes(outcomes: list[str]) -> Iterator[str]:
    for y, label in ((50, "events"), (110, "emitted"), (160, "the row")):
        yield f'<text x="10" y="{y + 5}" fill="#333">{label}</text>'
    yield f'<line x1="{_LEFT}" y1="50" x2="{_x(_END_MIN)}" y2="50" stroke="#999"/>'
    emitted = [
        (minute, content)
        for (minute, _, content, _), outcome in zip(STORY, outcomes, strict=True)
        if outcome in ("change", "refresh")
    ]
    for (minute, content), (until, _) in zip(emitted, [*emitted[1:], (_END_MIN, "")], strict=True):
        x, width = _x(minute), (until - minute) * _STEP
        colour = _COLOURS[content]
        yield f'<rect x="{x}" y="148" width="{width}" height="24" fill="{colour}" opacity=".25"/>'
        yield f'<text x="{x + 6}" y="165" fill="#333">{content}</text>'
    for (minute, _, content, event_id), outcome in zip(STORY, outcomes, strict=True):
        yield from _event_shapes(_x(minute), content, event_id, outcome)


def _event_shapes(x: int, content: str, event_id: str, outcome: str) -> Iterator[str]:
    colour = _COLOURS[content]
    yield f'<circle cx="{x}" cy="50" r="14" fill="{colour}"/>'
    yield f'<text x="{x}" y="55" fill="#fff" text-anchor="middle">{content}</text>'
    yield f'<text x="{x}" y="26" fill="#666" text-anchor="middle" font-size="12">{event_id}</text>'
    if outcome in ("change", "refresh"):
        yield f'<line x1="{x}" y1="66" x2="{x}" y2="94" stroke="{colour}" stroke-width="2"/>'
        yield f'<rect x="{x - 14}" y="96" width="28" height="28" fill="{colour}"/>'
        yield f'<text x="{x}" y="115" fill="#fff" text-anchor="middle">{content}</text>'
    else:
        place = f'x="{x}" y="115" text-anchor="middle" font-size="12"'
        yield f'<text {place} fill="#777">{outcome}</text>'


def _x(minute: int) -> int:
    return _LEFT + minute * _STEP


if __name__ == "__main__":
    for each in ("latest", "distinct", "event_id"):
        Path(sys.argv[1], f"strategy-{each.replace('_', '-')}.svg").write_text(picture(each))
