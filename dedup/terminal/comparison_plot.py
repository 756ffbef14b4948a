"""Draws a comparison as SVG: for each variant what it emits of the events, and the rest."""

from html import escape
from typing import Final

from dedup.core.printable import harmless
from dedup.inspection.comparison import Comparison, VariantResult
from dedup.terminal.comparison import share_text

_WIDTH: Final = 700
_MARGIN: Final = 20
_TOP: Final = 72
_SLOT: Final = 92
_BAR: Final = 22
_LONGEST_NAME: Final = 56

_STYLE: Final = """\
text { font-family: system-ui, sans-serif; font-size: 16px; fill: #1c2128 }
.title { font-size: 19px; font-weight: 600 }
.variant { font-weight: 600 }
.emitted { fill: #1a7f37 } .rest { fill: #d0d7de } .page { fill: #ffffff }"""


def comparison_svg(comparison: Comparison) -> str:
    """Return the picture: a bar as long as all events for each variant, filled by what it emits."""
    height = _TOP + _SLOT * len(comparison.results) + _MARGIN
    title = f"{comparison.events:,} events on {comparison.topic}: what would be emitted"
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{_text(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        f'<text class="title" x="{_MARGIN}" y="40">{_text(title)}</text>',
    ]
    for number, result in enumerate(comparison.results):
        lines += _bar(comparison, result, _TOP + number * _SLOT)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bar(comparison: Comparison, result: VariantResult, top: int) -> list[str]:
    whole = _WIDTH - 2 * _MARGIN
    emitted = whole * result.emitted / comparison.events if comparison.events else 0.0
    said = f"{result.emitted:,} emitted, {share_text(result)} suppressed"
    bar = f'x="{_MARGIN}" y="{top + 26}" height="{_BAR}"'
    return [
        f'<text class="variant" x="{_MARGIN}" y="{top + 16}">{_text(result.variant.name)}</text>',
        f'<rect class="rest" {bar} width="{whole}"/>',
        f'<rect class="emitted" {bar} width="{emitted:.1f}"/>',
        f'<text x="{_MARGIN}" y="{top + 66}">{said}</text>',
    ]


def _text(value: str) -> str:
    shown = harmless(value)
    if len(shown) > _LONGEST_NAME:
        shown = f"{shown[: _LONGEST_NAME - 1]}…"
    return escape(shown)
