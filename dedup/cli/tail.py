"""`dedup tail`: decisions as they are made."""

import json
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rich.text import Text

    from dedup.core.keys import Id
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
  dedup tail --id 42
  dedup tail --outcome stale --outcome dead_letter
  dedup tail --from-beginning --until-end --json > decisions.jsonl
  dedup tail --rows                records of src_products: key, tab, row

\b
Exit codes:
  0    --limit or --until-end was reached
  1    it failed; stderr says why
  2    wrong usage
  130  stopped by Ctrl-C
"""


@click.command(epilog=_EPILOG)
@click.option("--id", "--product", "row_id", help="Print only this id, such as a product_id.")
@click.option(
    "--outcome", multiple=True, type=click.Choice(_OUTCOMES), help="Print only this outcome."
)
@click.option("--rows", is_flag=True, help="Print records of KAFKA_SRC_PRODUCTS_TOPIC instead.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many lines.")
@click.option("--from-beginning", is_flag=True, help="Start with the first event on the topic.")
@click.option("--until-end", is_flag=True, help="Stop at the current end of the topic.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object on each line.")
def tail(  # noqa: PLR0913, PLR0917 - click passes an argument for each option
    row_id: str | None,
    outcome: tuple[str, ...],
    rows: bool,
    limit: int | None,
    from_beginning: bool,
    until_end: bool,
    as_json: bool,
) -> None:
    """Print the decision on each new event.

    A line has the outcome, and the fields that differ or the reason. KAFKA_PRODUCT_TOPIC is read
    outside the worker's group. The decisions are made with the worker's rules and the states on
    KAFKA_SRC_PRODUCTS_TOPIC, so they are those of the worker, except that the times of duplicates
    before the start are known to the worker only. The decisions on past events (--from-beginning)
    are taken from what the worker left on the topics.

    With --rows it prints the new records of KAFKA_SRC_PRODUCTS_TOPIC: key, tab, value, a record on
    each line; the value `null` is a tombstone.
    """
    from dedup.terminal.command import run
    from dedup.terminal.console import console
    from dedup.terminal.ids import id_of

    if rows and outcome:
        raise click.UsageError("--outcome selects decisions; --rows prints none.")

    async def follow(settings: "Settings") -> None:
        wanted = None if row_id is None else id_of(settings, row_id)
        span = {"from_beginning": from_beginning, "until_end": until_end}
        lines = (
            _rows(settings, wanted, span, as_json=as_json)
            if rows
            else _decisions(settings, wanted, outcome, span, as_json=as_json)
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
    wanted: "Id | None",
    outcome: Collection[str],
    span: dict[str, bool],
    *,
    as_json: bool,
) -> AsyncGenerator["str | Text", None]:
    """Return a line for each selected decision."""
    from dedup.inspection.decided_events import decision_json
    from dedup.inspection.tail import decisions
    from dedup.terminal.decisions import decision_line

    found = decisions(
        settings,
        **span,
        ready=lambda: _ready(settings.KAFKA_PRODUCT_TOPIC),
        note=lambda text: click.echo(text, err=True),
    )
    async with aclosing(found):
        async for decided in found:
            if wanted not in (None, decided.row_id):
                continue
            if outcome and decided.decision.outcome not in outcome:
                continue
            yield json.dumps(decision_json(decided)) if as_json else decision_line(decided)


async def _rows(
    settings: "Settings", wanted: "Id | None", span: dict[str, bool], *, as_json: bool
) -> AsyncGenerator["str | Text", None]:
    """Return a line for each selected record of the output topic."""
    from dedup.inspection.rows import row_json, row_line, rows
    from dedup.rules import codec_of

    topic, read_key = settings.KAFKA_SRC_PRODUCTS_TOPIC, codec_of(settings).keys.read_output
    found = rows(settings, **span, ready=lambda: _ready(topic))
    async with aclosing(found):
        async for record in found:
            if wanted in (None, read_key(record.key)):
                yield json.dumps(row_json(record)) if as_json else row_line(record)


def _ready(topic: str) -> None:
    """Print that no later record is missed; outages are logged from now on."""
    from dedup.observability.logs import log_to_stderr

    click.echo(f"Following {topic}", err=True)
    log_to_stderr()
