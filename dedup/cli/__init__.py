"""The command line: `dedup ...`.

The module of a command is imported when the command is called, and imports what it needs when it
runs: so `dedup --help` answers at once although the worker loads a lot.
"""

import sys
from importlib import import_module
from typing import Any, Final

import click

from dedup import __version__

_COMMANDS: Final = {
    "demo": "dedup.cli.demo",
    "kafka": "dedup.cli.kafka",
    "worker": "dedup.cli.worker",
    "topics": "dedup.cli.topics",
    "inspect": "dedup.cli.inspect",
    "tail": "dedup.cli.tail",
    "stats": "dedup.cli.stats",
    "compare": "dedup.cli.compare",
    "check": "dedup.cli.check",
    "verify": "dedup.cli.verify",
    "dlq": "dedup.cli.dlq",
    "sink": "dedup.cli.sink",
    "parity": "dedup.cli.parity",
    "flink-sql": "dedup.cli.flink_sql",
    "entity": "dedup.cli.entity",
    "config": "dedup.cli.config",
}
"""Each command and its module, which has it under the same name."""

_INTERRUPTED: Final = 130

_EPILOG: Final = """\b
Examples:
  dedup demo                       broker, events, worker, result checked
  dedup demo --events 0 --follow   the same, one event every 1-3 s, until Ctrl-C
  dedup topics create              create the topics before the first worker
  dedup worker                     deduplicate, until SIGTERM or Ctrl-C
  dedup inspect 42                 row, records and events of product 42
  dedup tail                       decisions on new events, with the differences
  dedup stats                      how many events were duplicates
  dedup compare                    what each strategy would emit
  dedup check events.jsonl         decisions on the events of a file; no broker
  dedup verify                     audit src_products against the events
  dedup dlq list                   events that could not be applied
  dedup sink postgres              copy src_products to a PostgreSQL table
  dedup entity infer --topic T     describe the events of any topic
  dedup config show                the settings as the worker reads them

\b
Exit codes:
  0    done
  1    it failed, or the demo's oracle disagrees; stderr says why
  2    wrong usage
  3    `check` and `entity check` found events that can't be applied, `verify` found faults
  130  stopped by Ctrl-C before it was done
  141  stdout was closed early, as by `| head`

Settings are read from the environment: KAFKA_BOOTSTRAP_SERVERS (localhost:9092) and others.
"""


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command; None for an unknown one."""
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(import_module(module), cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command.

        An explained error is printed and exits with 1; Ctrl-C, also during the import of the
        command, with 130.
        """
        from dedup.core.errors import ExplainedError
        from dedup.terminal import streams

        streams.write_any_text()
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except ExplainedError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            streams.exit_on_closed_pipe()
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            raise click.exceptions.Exit(_INTERRUPTED) from None
        return result


@click.group(cls=_LazyGroup, epilog=_EPILOG)
@click.version_option(__version__, prog_name="dedup")
def cli() -> None:
    """Deduplicate product-change events on Kafka."""
