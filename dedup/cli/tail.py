"""`dedup tail`: decisions live."""

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from dedup.settings import Settings

_OUTCOMES: Final = (
    "change",
    "refresh",
    "tombstone",
    "duplicate",
    "stale",
    "replayed",
    "dead_letter",
)

_EPILOG: Final = """\b
Examples:
  dedup tail
  dedup tail --product 42
  dedup tail --outcome stale --outcome dead_letter
  dedup tail --from-beginning --until-end --json > decisions.jsonl

\b
Exit codes:
  0    --limit or --until-end was reached
  1    it failed; a sentence on stderr says why
  2    wrong usage
  130  stopped by Ctrl-C
"""


@click.command(epilog=_EPILOG)
@click.option("--product", type=click.IntRange(min=1), help="Only this product_id.")
@click.option("--outcome", multiple=True, type=click.Choice(_OUTCOMES), help="Only this outcome.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--from-beginning", is_flag=True, help="All events there are, from nothing known on.")
@click.option("--until-end", is_flag=True, help="Stop at what is the end of the topic now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object on each line.")
def tail(
    product: int | None,
    outcome: tuple[str, ...],
    limit: int | None,
    from_beginning: bool,
    until_end: bool,
    as_json: bool,
) -> None:
    """Print what becomes of each event as it comes: outcome, and the fields that differ or why.

    KAFKA_PRODUCT_TOPIC is read beside the worker, never in its group. The same rules decide over
    the states that KAFKA_SRC_PRODUCTS_TOPIC holds, so this is what the worker decides, told at
    once. What only the worker knows is missing: the times of duplicates before this began.
    """
    from dedup.cli.environment import run  # noqa: PLC0415 - aiokafka is slower than --help may be
    from dedup.cli.observing import verdicts  # noqa: PLC0415 - as above
    from dedup.cli.observing.tailing import decisions  # noqa: PLC0415 - as above
    from dedup.cli.terminal import console  # noqa: PLC0415 - as above
    from dedup.logs import log_to_stderr  # noqa: PLC0415 - as above

    async def follow(settings: "Settings") -> None:
        def ready() -> None:
            click.echo(f"Following {settings.KAFKA_PRODUCT_TOPIC}", err=True)
            log_to_stderr()

        out = console()
        printed = 0
        found = decisions(
            settings,
            from_beginning=from_beginning,
            until_end=until_end,
            ready=ready,
        )
        async with aclosing(found):
            async for verdict, rules in found:
                if product not in (None, verdict.product_id):
                    continue
                if outcome and verdict.decision.outcome not in outcome:
                    continue
                if as_json:
                    click.echo(json.dumps(verdicts.as_json(verdict, rules)))
                else:
                    place = f"{verdict.at.partition}:{verdict.at.offset}"
                    out.print(verdicts.as_line(verdict, rules, place=place), soft_wrap=True)
                printed += 1
                if printed == limit:
                    return

    run(follow)
