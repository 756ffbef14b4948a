"""`dedup tail`: decisions live."""

import json
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rich.text import Text

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
  dedup tail --rows                src_products as it comes: key, tab, row

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
@click.option(
    "--rows", is_flag=True, help="Records of KAFKA_SRC_PRODUCTS_TOPIC instead, as stored."
)
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--from-beginning", is_flag=True, help="All events there are, from nothing known on.")
@click.option("--until-end", is_flag=True, help="Stop at what is the end of the topic now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object on each line.")
def tail(  # noqa: PLR0913, PLR0917 - click passes an argument for each option
    product: int | None,
    outcome: tuple[str, ...],
    rows: bool,
    limit: int | None,
    from_beginning: bool,
    until_end: bool,
    as_json: bool,
) -> None:
    """Print what becomes of each event as it comes: outcome, and the fields that differ or why.

    KAFKA_PRODUCT_TOPIC is read beside the worker, never in its group. The same rules decide over
    the states that KAFKA_SRC_PRODUCTS_TOPIC holds, so this is what the worker decides, told at
    once. What only the worker knows is missing: the times of duplicates before this began. What was
    done before (--from-beginning) is told by what stands on the topics of it.

    With --rows it prints the records of KAFKA_SRC_PRODUCTS_TOPIC as they come: key, tab, value, a
    record on each line; `null` for the value is a tombstone.
    """
    from dedup.terminal.command import run  # noqa: PLC0415 - aiokafka is slower than --help may be
    from dedup.terminal.console import console  # noqa: PLC0415 - as above

    if rows and outcome:
        raise click.UsageError("--outcome is of decisions; a row has none.")

    async def follow(settings: "Settings") -> None:
        choice = {"from_beginning": from_beginning, "until_end": until_end}
        lines = (
            _rows(settings, product, choice, as_json=as_json)
            if rows
            else _decisions(settings, product, outcome, choice, as_json=as_json)
        )
        out = console()
        printed = 0
        async with aclosing(lines):
            async for line in lines:
                if isinstance(line, str):
                    click.echo(line)
                else:
                    out.print(line, soft_wrap=True)
                printed += 1
                if printed == limit:
                    return

    run(follow)


async def _decisions(
    settings: "Settings",
    product: int | None,
    outcome: Collection[str],
    choice: dict[str, bool],
    *,
    as_json: bool,
) -> AsyncGenerator["str | Text", None]:
    """Return a line for each decision that is meant."""
    from dedup.inspection import verdicts  # noqa: PLC0415 - as above
    from dedup.inspection.tailing import decisions  # noqa: PLC0415 - as above

    found = decisions(
        settings,
        **choice,
        ready=lambda: _ready(settings.KAFKA_PRODUCT_TOPIC),
        note=lambda sentence: click.echo(sentence, err=True),
    )
    async with aclosing(found):
        async for verdict in found:
            if product not in (None, verdict.product_id):
                continue
            if outcome and verdict.decision.outcome not in outcome:
                continue
            place = f"{verdict.at.partition}:{verdict.at.offset}"
            yield (
                json.dumps(verdicts.as_json(verdict))
                if as_json
                else verdicts.as_line(verdict, place=place)
            )


async def _rows(
    settings: "Settings", product: int | None, choice: dict[str, bool], *, as_json: bool
) -> AsyncGenerator["str | Text", None]:
    """Return a line for each record of the output topic that is meant."""
    from dedup.core.row import read_output_key  # noqa: PLC0415 - as above
    from dedup.inspection.rows import row_as_json, row_as_line, rows  # noqa: PLC0415 - as above

    topic = settings.KAFKA_SRC_PRODUCTS_TOPIC
    found = rows(settings, **choice, ready=lambda: _ready(topic))
    async with aclosing(found):
        async for record in found:
            if product in (None, read_output_key(record.key)):
                yield json.dumps(row_as_json(record)) if as_json else row_as_line(record)


def _ready(topic: str) -> None:
    """Say that nothing that comes is missed any more; outages are logged from now on."""
    from dedup.observability.logs import log_to_stderr  # noqa: PLC0415 - as above

    click.echo(f"Following {topic}", err=True)
    log_to_stderr()
