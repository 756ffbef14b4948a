"""`dedup entity`: infers what is deduplicated from events, checks it against a topic, shows it."""

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from dedup.inspection.entity_topic import EntityCheck, Sample
    from dedup.settings import Settings

_SOME_ARE_REFUSED: Final = 3
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")

_EPILOG: Final = """\b
Examples:
  dedup entity infer --topic orders --output orders.py
  dedup entity check orders:ORDER --topic orders
  dedup entity show orders:ORDER
  DEDUP_ENTITY=orders:ORDER dedup worker

\b
Exit codes:
  0    done
  1    it failed; stderr says why
  2    wrong usage
  130  stopped by Ctrl-C
"""

_EPILOG_OF_CHECK: Final = """\b
Examples:
  dedup entity check orders:ORDER --topic orders
  DEDUP_ENTITY=orders:ORDER dedup entity check
  dedup entity check orders:ORDER --json | jq '.refusals[].message'

\b
Exit codes:
  0    every event can be applied
  1    it failed; stderr says why
  2    wrong usage
  3    some events would be dead letters
  130  stopped by Ctrl-C
"""


@click.group(epilog=_EPILOG)
def entity() -> None:
    """Infer what is deduplicated from a topic, check it, or show what an event is."""


@entity.command(epilog=_EPILOG)
@click.option("--topic", required=True, help="Topic to read events of.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write the module to, such as orders.py; without it, stdout.",
)
@click.option("--name", help="Name of the entity, such as order; by default, from the topic.")
@click.option(
    "--id", "row_id", help="Field with the id; by default, the one that record keys hold."
)
@click.option(
    "--events",
    type=click.IntRange(1, 1_000_000),
    default=10_000,
    show_default=True,
    help="How many events to read: of each partition the oldest and the newest.",
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
def infer(
    topic: str, output: Path | None, name: str | None, row_id: str | None, events: int, force: bool
) -> None:
    """Write a Python module that describes the events of a topic.

    Reads committed events, and finds the envelope, the id (the field that equals the record key),
    the event time, the types of the fields, and the fields that change without saying anything new.
    It prints what it is not sure of to stderr: read that, and edit the module. The module is held
    against the events that were read; those that it would refuse are counted with the reason.
    """
    from dedup.entities.resolve import DEFAULT
    from dedup.inference.infer import infer as inferred_from
    from dedup.inference.names import entity_name
    from dedup.inspection.entity_file import written
    from dedup.inspection.entity_topic import sample_topic
    from dedup.terminal.command import run
    from dedup.terminal.entity import show_inferred

    _check_output(output, force=force)
    if name is not None and not _NAME.fullmatch(name):
        raise click.UsageError(f"--name {name!r}: small letters, digits and _ are accepted.")

    async def read(settings: "Settings") -> "Sample":
        return await sample_topic(settings, topic, events)

    # The entity of the environment may be the one that is to be written.
    environ = {n: v for n, v in os.environ.items() if not n.startswith("DEDUP_")}
    sample = run(read, {**environ, "DEDUP_ENTITY": DEFAULT})
    found = inferred_from(sample.records, row_id)
    name = name or entity_name(topic)
    module = written(found, name, topic, sample.records)
    if output is None:
        click.echo(module.source, nl=False)
    else:
        try:
            with output.open("w" if force else "x", encoding="utf-8") as file:
                file.write(module.source)
        except OSError as error:
            raise click.ClickException(str(error)) from error
    show_inferred(found, sample, module, topic, name, output)


def _check_output(output: Path | None, *, force: bool) -> None:
    if output is None:
        return
    if output.suffix != ".py" or not output.stem.isidentifier():
        raise click.UsageError(f"--output {output}: a module's file is expected, such as orders.py")
    if output.exists() and not force:
        raise click.UsageError(f"--output {output}: the file exists; --force overwrites it.")
    if not output.absolute().parent.is_dir():
        raise click.UsageError(f"--output {output}: there is no such directory.")


@entity.command(epilog=_EPILOG_OF_CHECK)
@click.argument("entity", metavar="[ENTITY]", required=False)
@click.option("--topic", help="Topic to read; by default, the source topic of the entity.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
def check(entity: str | None, topic: str | None, as_json: bool) -> None:
    """Decide on every event of a topic with ENTITY, such as orders:ORDER.

    Without ENTITY it is that of DEDUP_ENTITY. Reads the topic to its current end, outside the
    worker's group, and decides with the worker's rules from no known state. Prints how many events
    can be applied, which would be dead letters and why, and what share would be suppressed. All
    events are decided on at one time: DEDUP_REFRESH_AFTER re-emits nothing here.
    """
    from dedup.inspection.entity_topic import check_topic
    from dedup.terminal.command import run
    from dedup.terminal.entity import check_json, show_check
    from dedup.terminal.progress import progress

    async def read(settings: "Settings") -> "tuple[str, EntityCheck]":
        source = topic or settings.KAFKA_PRODUCT_TOPIC
        with progress(f"Reading {source}") as on_read:
            return source, await check_topic(settings, source, on_read)

    given = {} if entity is None else {"DEDUP_ENTITY": entity}
    source, result = run(read, {**os.environ, **given})
    if as_json:
        click.echo(check_json(result, source))
    else:
        show_check(result, source)
    sys.exit(_SOME_ARE_REFUSED if result.refused else 0)


@entity.command(epilog=_EPILOG)
@click.argument("entity", metavar="[ENTITY]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
def show(entity: str | None, as_json: bool) -> None:
    """Show what an event of ENTITY is; by default, of DEDUP_ENTITY. No broker is needed.

    Prints the columns of its row with their types in Flink and PostgreSQL, an example of a record,
    and the JSON Schema of an event that describes a whole row.
    """
    from dedup.entities.resolve import resolve_entity
    from dedup.settings import load_settings
    from dedup.terminal.entity import entity_json, show_entity

    try:
        found = load_settings(os.environ).entity if entity is None else resolve_entity(entity)
        text = entity_json(found)
    except ValueError as error:  # also a SettingsError, and a field that needs an example
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(text)
    else:
        show_entity(found)
