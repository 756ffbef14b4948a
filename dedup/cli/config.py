"""`dedup config`: the settings as the worker would read them."""

import json
import os
from typing import Final

import click

_EPILOG: Final = """\b
Examples:
  dedup config show
  dedup config show --json | jq -r '.[] | select(.source == "environment") | .name'
  DEDUP_ORDER=arrival dedup config check

\b
Exit codes:
  0  the settings are accepted
  1  they are not; a sentence on stderr for each fault
  2  wrong usage
"""


@click.group(epilog=_EPILOG)
def config() -> None:
    """Show or check the settings, read from the environment. No broker is asked."""


@config.command(epilog=_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def show(as_json: bool) -> None:
    """Print every setting: its value, and whether the environment or the default gave it.

    Secrets are shown as *** when they are set.
    """
    from rich.table import Table  # noqa: PLC0415 - slower than --help may be
    from rich.text import Text  # noqa: PLC0415 - as above

    from dedup.cli.environment import settings_or_exit  # noqa: PLC0415 - as above
    from dedup.cli.terminal import console  # noqa: PLC0415 - as above
    from dedup.core.printable import harmless  # noqa: PLC0415 - as above
    from dedup.settings import redacted  # noqa: PLC0415 - as above

    values = redacted(settings_or_exit())
    given = {name: "environment" if os.environ.get(name) else "default" for name in values}
    if as_json:
        click.echo(
            json.dumps([{"name": n, "value": v, "source": given[n]} for n, v in values.items()])
        )
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("setting", "value", "from"):
        table.add_column(heading, overflow="fold")
    for name, value in values.items():
        style = "bold" if given[name] == "environment" else ""
        table.add_row(name, Text(harmless(value), style), given[name])
    console().print(table)


@config.command(epilog=_EPILOG)
def check() -> None:
    """Check that every setting is accepted; print nothing else.

    `dedup topics check` asks the brokers too.
    """
    from dedup.cli.environment import fail, settings_or_exit  # noqa: PLC0415 - as above
    from dedup.core.errors import SettingsError  # noqa: PLC0415 - as above

    try:
        settings_or_exit().ssl_context()
    except SettingsError as error:
        fail(error)
    click.echo("The settings are accepted.")
