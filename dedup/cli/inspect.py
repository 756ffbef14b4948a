"""`dedup inspect`: everything the topics have about one row."""

import json
from typing import Final

import click

_EPILOG: Final = """\b
Examples:
  dedup inspect 42
  dedup inspect 42 --events 1000
  dedup inspect 42 --partition 3
  dedup inspect 42 --json | jq '.events[-1].why'

\b
Exit codes:
  0    done
  1    it failed, or nothing is known of the id; stderr says which
  2    wrong usage
  130  stopped by Ctrl-C
"""


@click.command(epilog=_EPILOG)
@click.argument("row_id", metavar="ID")
@click.option(
    "--events",
    "limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Print at most this many of the newest events, and of the newest records.",
)
@click.option(
    "--partition", type=click.IntRange(min=0), help="Read only this partition.  [default: all]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
def inspect(row_id: str, limit: int, partition: int | None, as_json: bool) -> None:
    """Print the row, records and events of ID, such as a product_id.

    The row is found whichever partition its producer chose; --partition reads only one, which
    is faster. The decision on an event is taken from the topics if they show it: the record it led
    to, or its dead letter. Otherwise it is recomputed with the rules that the records around it
    were made with. Events that retention has removed are missing; the output says when there may be
    any.
    """
    from dedup.inspection.row import inspect_row
    from dedup.inspection.row_json import inspection_json
    from dedup.terminal.command import run
    from dedup.terminal.ids import id_of
    from dedup.terminal.row import show_row

    found = run(lambda settings: inspect_row(settings, id_of(settings, row_id), partition))
    if as_json:
        click.echo(json.dumps(inspection_json(found, limit)))
    else:
        show_row(found, limit)
