"""`dedup stats`: what the topics come to."""

import json
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from dedup.inspection.statistics import Statistics

_COLUMNS: Final = (
    ("product_id", "id"),
    ("product_name", "name"),
    ("price", "price"),
    ("stock_quantity", "stock"),
    ("discount", "discount"),
    ("last_action", "last action"),
    ("last_event_timestamp", "at (UTC)"),
)

_EPILOG: Final = """\b
Examples:
  dedup stats
  dedup stats --products 1000
  dedup stats --json | jq .deduplication_stats.duplicate_percentage

\b
Exit codes:
  0    done
  1    it failed; a sentence on stderr says why
  2    wrong usage
  130  stopped by Ctrl-C
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--products",
    "limit",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many current rows at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
def stats(limit: int, as_json: bool) -> None:
    """Count the events on KAFKA_PRODUCT_TOPIC by outcome, and print current rows.

    All of the topic is read and decided on again, so this takes a while on a large one; the
    worker's page and metrics count as it works. A duplicate is an event whose content was known:
    not, as in some statistics, every event but one of each product.
    """
    from dedup.inspection.statistics import statistics  # noqa: PLC0415 - as above
    from dedup.terminal.command import run  # noqa: PLC0415 - aiokafka is slower than --help may be

    found = run(lambda settings: statistics(settings, limit))
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    _show(found)
    for note in found.notes:
        click.echo(note, err=True)
    if not found.complete:
        click.echo("Older events are no longer on the topic: they are not counted.", err=True)


def _show(found: "Statistics") -> None:
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    from dedup.core.printable import harmless  # noqa: PLC0415 - as above
    from dedup.terminal.console import console  # noqa: PLC0415 - as above

    told = found.as_json()
    stats, counts = told["deduplication_stats"], told["raw_versus_deduplicated"]
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
    if not found.states:
        return
    out.print(f"\n{len(found.states):,} of {counts['current_products']:,} current rows")
    table = Table(box=None, pad_edge=False)
    for _, heading in _COLUMNS:
        table.add_column(heading, overflow="fold")
    for row in found.states:
        table.add_row(*(Text(harmless(row.get(name))) for name, _ in _COLUMNS))
    out.print(table)
