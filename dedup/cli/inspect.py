"""`dedup inspect`: everything the topics tell of one product."""

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
  1    it failed, or nothing is known of the product; a sentence on stderr says which
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
    help="How many events at most, the newest; and as many records.",
)
@click.option("--partition", type=click.IntRange(min=0), help="Read only this one.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
def inspect(product_id: int, limit: int, partition: int | None, as_json: bool) -> None:
    """Print the row of PRODUCT_ID, where it comes from, and what became of each of its events.

    It is found whichever partition its producer chose; --partition reads only one, which is faster.
    What became of an event is what the topics show: the record it led to, or its dead letter. Of
    the others it is what the rules say by which the records around them were made. Events that
    retention has taken off the topic are missing, and it is said when there may be such.
    """
    from dedup.inspection.inspecting import inspect_product  # noqa: PLC0415 - see dedup.cli
    from dedup.terminal import product as text  # noqa: PLC0415
    from dedup.terminal.command import run  # noqa: PLC0415

    product = run(lambda settings: inspect_product(settings, product_id, partition))
    if as_json:
        click.echo(json.dumps(text.as_json(product, limit)))
    else:
        text.show(product, limit)
