"""Prints the counts of events and the first rows."""

from typing import Any, Final

from rich.table import Table
from rich.text import Text

from dedup.core.printable import harmless
from dedup.inspection.statistics import Statistics
from dedup.terminal.console import console

_CONTENT_SHOWN: Final = 6
"""Content fields of a row that are printed, the first ones: lines stay readable."""

_PROVENANCE_SHOWN: Final = {"last_action": "last action", "last_event_timestamp": "at (UTC)"}


def show_statistics(statistics: Statistics) -> None:
    """Print the counts, and the rows below them."""
    shown, entity = statistics.as_json(), statistics.entity
    plural = entity.plural
    stats, counts = shown["deduplication_stats"], shown["raw_versus_deduplicated"]
    lines: list[tuple[str, Any]] = [
        ("total events", f"{stats['total_events']:,}"),
        (f"unique {plural}", f"{stats[f'unique_{plural}']:,}"),
        *((f"  {o.replace('_', ' ')}", f"{n:,}") for o, n in stats["outcomes"].items()),
        ("duplicate percentage", f"{stats['duplicate_percentage']:.2f} %"),
        ("raw events", f"{counts['raw_events']:,}"),
        ("deduplicated", f"{counts['deduplicated']:,}"),
        (f"current {plural}", f"{counts[f'current_{plural}']:,}"),
    ]
    out = console()
    for name, value in lines:
        out.print(f"{name:<22} {value:>12}", soft_wrap=True)
    if not statistics.rows:
        return
    out.print(f"\n{len(statistics.rows):,} of {counts[f'current_{plural}']:,} current rows")
    table = Table(box=None, pad_edge=False)
    content = [entity.field(name) for name in entity.content[:_CONTENT_SHOWN]]
    ends = {n: h for n, h in _PROVENANCE_SHOWN.items() if n in entity.provenance}
    for field in (entity.fields[0], *content):
        table.add_column(field.name, overflow="fold", justify=field.kind.align)
    for heading in ends.values():
        table.add_column(heading, overflow="fold")
    names = (entity.id, *(field.name for field in content), *ends)
    for row in statistics.rows:
        table.add_row(*(Text(harmless(row.get(name))) for name in names))
    out.print(table)
