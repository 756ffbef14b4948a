"""`dedup flink-sql`: prints the rules of the entity and strategy in use as Flink SQL."""

import os
from typing import Final

import click

_EPILOG: Final = """\b
Examples:
  dedup flink-sql
  DEDUP_ENTITY=shop.orders:ORDER dedup flink-sql > orders.sql
  DEDUP_STRATEGY=distinct DEDUP_WINDOW=10m dedup flink-sql > distinct.sql
  python deploy/flink/job.py --sql orders.sql --bounded

\b
Exit codes:
  0  done
  1  Flink SQL can't express the entity or a setting, or one is wrong; stderr says why
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--bootstrap-servers",
    help="The brokers as Flink reaches them; default: KAFKA_BOOTSTRAP_SERVERS.",
)
def flink_sql(bootstrap_servers: str | None) -> None:
    """Print the rules of the entity and strategy in use as a script for Flink's SQL client.

    The script has the tables of both topics, the views of the decision, the statistics and the
    INSERT that runs the job. Passwords are not in it: deploy/flink/statements.py adds the
    connection settings of the environment.
    """
    from dedup.parity.reference import sql_of
    from dedup.settings import load_settings

    click.echo(sql_of(load_settings(os.environ), bootstrap_servers), nl=False)
