"""`dedup inspect`: everything the topics have about one product."""

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
  1    it failed, or nothing is known of the product; stderr says which
  2    wrong usage
  130  stopped by Ctrl-C
"""


@click.command(epilog=_EPILOG)
@click.argument("product_id", type=click.IntRange(1, 2**63 - 1))
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
def inspect(product_id: int, limit: int, partition: int | None, as_json: bool) -> None:
    """Print the row, records and events of PRODUCT_ID.

    The product is found whichever partition its producer chose; --partition reads only one, which
    is faster. The decision on an event is taken from the topics if they show it: the record it led
    to, or its dead letter. Otherwise it is recomputed with the rules that the records around it
    were made with. Events that retention has removed are missing; the output says when there may be
    any.
    """
    from dedup.inspection.product import inspect_product
    from dedup.inspection.product_json import product_json
    from dedup.terminal.command import run
    from dedup.terminal.product import show_product

    product = run(lambda settings: inspect_product(settings, product_id, partition))
    if as_json:
        click.echo(json.dumps(product_json(product, limit)))
    else:
        show_product(product, limit)
