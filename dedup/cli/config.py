"""`dedup config`: the settings as the worker reads them."""

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
  1  they are not; stderr names each fault
  2  wrong usage
"""


@click.group(epilog=_EPILOG)
def config() -> None:
    """Show or check the settings of the environment, without a broker."""


@config.command(epilog=_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def show(as_json: bool) -> None:
    """Print every setting: its value, and whether it comes from the environment or is the default.

    Secrets that are set are shown as ***.
    """
    from rich.table import Table
    from rich.text import Text

    from dedup.core.printable import harmless
    from dedup.kafka.settings import redacted
    from dedup.settings import load_settings
    from dedup.terminal.console import console

    values = redacted(load_settings(os.environ))
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
    """Check that every setting is accepted.

    `dedup topics check` asks the brokers too.
    """
    from dedup.settings import load_settings

    load_settings(os.environ).ssl_context()
    click.echo("The settings are accepted.")
