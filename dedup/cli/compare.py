"""`dedup compare`: what several strategies would make of one topic."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from dedup.inspection.comparison import Comparison
    from dedup.settings import Settings

_EPILOG: Final = """\b
A VARIANT is a strategy, then in any order and as needed:
  10m, 24h, 7d           window; required by distinct and event_id
  fixed, sliding         since the emission, or since the last duplicate
  event_time, arrival    which event is newer
  fields=NAME,NAME       content fields that are compared
  entries=NUMBER         contents or event ids remembered of each id
What it does not name is that of the settings; the window, its kind and the
strategy of the settings are not used.

\b
Examples:
  dedup compare
  dedup compare latest distinct:10m distinct:10m:sliding event_id:24h
  dedup compare latest latest:arrival latest:fields=price,stock_quantity
  dedup compare --topic orders --plot strategies.svg
  dedup compare --json | jq '.variants[] | {variant, emitted, other_state}'

\b
Exit codes:
  0    done
  1    it failed; stderr says why
  2    wrong usage
  130  stopped by Ctrl-C
"""


@click.command(epilog=_EPILOG)
@click.argument("variants", metavar="[VARIANT]...", nargs=-1)
@click.option("--topic", help="Topic to read.  [default: KAFKA_PRODUCT_TOPIC]")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write what each variant emits as SVG, too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
def compare(variants: tuple[str, ...], topic: str | None, plot: Path | None, as_json: bool) -> None:
    """Compare what strategies and windows would make of a topic.

    Without a VARIANT these are latest, distinct:24h and event_id:24h. The topic is read once, to
    its current end and outside the worker's group; nothing is written to Kafka. Each variant
    decides with the worker's rules, from no known state; the clock is the timestamp of each
    record. The states at the end are compared with those of the first variant. Memory does not
    grow with the topic: the states of one partition at a time are in a temporary directory, once
    for each variant.
    """
    from dedup.inspection.comparison import compare_topic
    from dedup.inspection.variants import VariantError, default_variants, read_variants
    from dedup.settings import load_settings
    from dedup.terminal.command import run
    from dedup.terminal.comparison import comparison_json, show_comparison
    from dedup.terminal.progress import progress

    settings = load_settings(os.environ)
    if plot is not None and not plot.absolute().parent.is_dir():
        raise click.UsageError(f"--plot {plot}: there is no such directory.")
    try:
        chosen = read_variants(variants or default_variants(settings.entity), settings)
    except VariantError as error:
        raise click.UsageError(str(error)) from error
    source = topic or settings.KAFKA_PRODUCT_TOPIC

    async def read(settings: "Settings") -> "Comparison":
        setting = "--topic" if topic else "KAFKA_PRODUCT_TOPIC"
        with progress(f"Reading {source}") as on_read:
            return await compare_topic(settings, source, setting, chosen, on_read)

    found = run(read)
    if plot is not None:
        _write_plot(plot, found)
    if as_json:
        click.echo(comparison_json(found))
    else:
        show_comparison(found)
    if found.cut:
        click.echo("Older events are no longer on the topic: they are not counted.", err=True)


def _write_plot(path: Path, comparison: "Comparison") -> None:
    from dedup.terminal.comparison_plot import comparison_svg

    try:
        path.write_text(comparison_svg(comparison), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(str(error)) from error
