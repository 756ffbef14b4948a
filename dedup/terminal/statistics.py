"""Prints the counts of events and the first rows."""

from typing import Any, Final

from rich.table import Table
from rich.text import Text

from dedup.core.printable import harmless
from dedup.inspection.statistics import Statistics
from dedup.terminal.console import console

_COLUMNS: Final = (
    ("product_id", "id"),
    ("product_name", "name"),
    ("price", "price"),
    ("stock_quantity", "stock"),
    ("discount", "discount"),
    ("last_action", "last action"),
    ("last_event_timestamp", "at (UTC)"),
)


def show_statistics(statistics: Statistics) -> None:
    """Print the counts, and the rows below them."""
    shown = statistics.as_json()
    stats, counts = shown["deduplication_stats"], shown["raw_versus_deduplicated"]
    lines: list[tuple[str, Any]] = [
        ("total events", f"{stats['total_events']:,}"),
        ("unique products", f"{stats['unique_products']:,}"),
        *((f"  {o.replace('_', ' ')}", f"{n:,}") for o, n in stats["outcomes"].items()),
        ("duplicate percentage", f"{stats['duplicate_percentage']:.2f} %"),
        ("raw events", f"{counts['raw_events']:,}"),
        ("deduplicated", f"{counts['deduplicated']:,}"),
        ("current products", f"{counts['current_products']:,}"),
    ]
    out = console()
    for name, value in lines:
        out.print(f"{name:<22} {value:>12}", soft_wrap=True)
    if not statistics.rows:
        return
    out.print(f"\n{len(statistics.rows):,} of {counts['current_products']:,} current rows")
    table = Table(box=None, pad_edge=False)
    for _, heading in _COLUMNS:
        table.add_column(heading, overflow="fold")
    for row in statistics.rows:
        table.add_row(*(Text(harmless(row.get(name))) for name, _ in _COLUMNS))
    out.print(table)
