"""`dedup stats`: events by outcome, and current rows."""

import json
from typing import Final

import click

_EPILOG: Final = """\b
Examples:
  dedup stats
  dedup stats --rows 1000
  dedup stats --json | jq .deduplication_stats.duplicate_percentage

\b
Exit codes:
  0    done
  1    it failed; stderr says why
  2    wrong usage
  130  stopped by Ctrl-C
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--rows",
    "--products",
    "limit",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Print at most this many current rows.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
def stats(limit: int, as_json: bool) -> None:
    """Count the events by outcome, and print current rows.

    All of KAFKA_PRODUCT_TOPIC is read and the decisions are recomputed, which takes a while for a
    large topic; the worker's page and metrics count as it works. A duplicate is an event whose
    content was known already; other statistics count every event but one of each id.
    """
    from dedup.inspection.statistics import statistics
    from dedup.terminal.command import run
    from dedup.terminal.statistics import show_statistics

    found = run(lambda settings: statistics(settings, limit))
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    show_statistics(found)
    for note in found.notes:
        click.echo(note, err=True)
    if not found.complete:
        click.echo("Older events are no longer on the topic: they are not counted.", err=True)
