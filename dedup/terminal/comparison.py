"""Prints what variants of the rules make of a topic: a table, or JSON."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from dedup.core.decide import Outcome
from dedup.core.printable import harmless
from dedup.inspection.comparison import Comparison, VariantResult
from dedup.terminal.console import console

_SIZES: Final = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def comparison_json(comparison: Comparison) -> str:
    """Return a comparison as JSON."""
    return json.dumps(
        {
            "topic": comparison.topic,
            "events": comparison.events,
            "bytes_in": comparison.bytes_in,
            "complete": not comparison.cut,
            "variants": [_variant_json(comparison, each) for each in comparison.results],
        }
    )


def _variant_json(comparison: Comparison, result: VariantResult) -> dict[str, Any]:
    rules = result.variant.rules
    return {
        "variant": result.variant.name,
        "strategy": rules.strategy,
        "window_seconds": None if rules.window_us is None else rules.window_us / 1_000_000,
        "window_kind": rules.window_kind,
        "window_entries": rules.window_entries,
        "order": rules.order,
        "content_fields": list(rules.codec.content),
        "outcomes": {outcome.value: result.outcomes[outcome] for outcome in Outcome},
        "emitted": result.emitted,
        "suppressed_share": round(result.suppressed_share, 4),
        "bytes_written": result.bytes_written,
        "bytes_saved": comparison.bytes_saved(result),
        "rows": result.rows,
        "other_state": result.other_state,
        "entries_forgotten": result.forgotten,
    }


def show_comparison(comparison: Comparison) -> None:
    """Print a table with a column for each variant."""
    out = console()
    plural, results = comparison.content.entity.plural, comparison.results
    topic = harmless(comparison.topic)
    read = f"{comparison.events:,} events on {topic}, {size_text(comparison.bytes_in)}"
    out.print(Text(read), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column()
    for result in results:
        table.add_column(Text(harmless(result.variant.name)), justify="right", overflow="fold")
    for title, cell in _lines(comparison):
        table.add_row(title, *map(cell, results))
    out.print(table)
    first = harmless(results[0].variant.name)
    out.print(
        Text(
            f"In another state: {plural} whose last row has other content than with {first}, or "
            "that have a row with one of the two only."
        ),
        soft_wrap=True,
    )


def _lines(comparison: Comparison) -> Sequence[tuple[str, Callable[[VariantResult], str]]]:
    """Return the lines of the table: a title, and what it says of a variant."""
    plural, first = comparison.content.entity.plural, comparison.results[0]

    def count(outcome: Outcome) -> Callable[[VariantResult], str]:
        return lambda result: f"{result.outcomes[outcome]:,}"

    return (
        ("emitted", lambda result: f"{result.emitted:,}"),
        ("duplicates", count(Outcome.DUPLICATE)),
        ("stale", count(Outcome.STALE)),
        ("dead letters", count(Outcome.DEAD_LETTER)),
        ("suppressed", share_text),
        ("bytes written", lambda result: size_text(result.bytes_written)),
        ("bytes saved", lambda result: size_text(comparison.bytes_saved(result))),
        (plural, lambda result: f"{result.rows:,}"),
        (
            f"{plural} in another state",
            lambda result: "-" if result is first else f"{result.other_state:,}",
        ),
        ("entries forgotten", lambda result: f"{result.forgotten:,}"),
    )


def share_text(result: VariantResult) -> str:
    """Return the share of events that emit nothing as text."""
    return f"{result.suppressed_share:.1%}"


def size_text(size: int) -> str:
    """Return a number of bytes as text: `1.5 MB`."""
    for unit, name in _SIZES:
        if abs(size) >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"
