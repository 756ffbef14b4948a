"""Prints what was inferred, what an entity makes of a topic, and what an event of it is."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dedup.core.decision import Outcome
from dedup.core.entity import Entity
from dedup.core.printable import harmless, printable
from dedup.inference.infer import Inferred
from dedup.inspection.entity_file import Written
from dedup.inspection.entity_topic import EntityCheck, Sample
from dedup.inspection.event_schema import event_schema, example_event, row_columns
from dedup.terminal.console import console

_NOT_EMITTED: Final = (Outcome.DUPLICATE, Outcome.STALE, Outcome.REPLAYED)
_EMITTED: Final = (Outcome.CHANGE, Outcome.REFRESH, Outcome.TOMBSTONE)


def show_inferred(
    found: Inferred, sample: Sample, module: Written, topic: str, name: str, output: Path | None
) -> None:
    """Print to stderr what was inferred, what is not sure, and the next commands."""
    read = f"Read {len(sample.records):,} of {sample.there:,} records of {topic}"
    key = f", keys as {found.key}" if found.key else ""
    _say(f"{read}: {_envelope(found)}, id {found.id}{key}, {len(found.fields)} fields.")
    if sample.cut:
        _say("They are very large: reading ended early. --events takes fewer.")
    refused = module.refusals.refused
    if refused:
        _say(f"Of these, {refused.total():,} would be dead letters:")
    for reason, count in refused.items():
        record, message = module.refusals.first[reason]
        _say(f"  {count:,} {reason}, first at {record.position}: {message}")
    if found.doubts:
        _say("Not sure:")
    for doubt in found.doubts:
        _say(f"  {doubt}")
    if output is not None:
        _say(f"Wrote {output}. Read it, then:")
        for command in _next(output, module.attribute, topic, name):
            _say(f"  {command}")


def _say(text: str) -> None:
    click.echo(harmless(text), err=True)


def _envelope(found: Inferred) -> str:
    return f"envelope {type(found.envelope).__name__}"


def _next(output: Path, attribute: str, topic: str, name: str) -> list[str]:
    """Return the commands to run next, from the directory in which the module is found."""
    absolute, here = output.absolute(), Path.cwd()
    is_below = absolute.is_relative_to(here)
    parts = (absolute.relative_to(here) if is_below else Path(absolute.name)).with_suffix("").parts
    if not all(part.isidentifier() for part in parts):
        is_below, parts = False, (absolute.stem,)
    entity = f"{'.'.join(parts)}:{attribute}"
    source = "" if topic == f"{name}s" else f"KAFKA_PRODUCT_TOPIC={topic} "
    go = [] if is_below else [f"cd {os.path.relpath(absolute.parent)}"]
    check = f"dedup entity check {entity} --topic {topic}"
    return [*go, check, f"{source}DEDUP_ENTITY={entity} dedup worker"]


def check_json(result: EntityCheck, topic: str) -> str:
    """Return what a check found as JSON."""
    refusals = [
        {**asdict(each), "reason": str(each.reason), "key": _text(each.key)}
        for each in result.refusals.values()
    ]
    return json.dumps(
        {
            "topic": topic,
            "events": result.events,
            "accepted": {"fast_path": result.fast, "pydantic": result.validated},
            "refused": result.refused,
            "refusals": refusals,
            "emitted": result.emitted,
            "outcomes": {outcome: result.outcomes[outcome] for outcome in Outcome},
            "suppressed_share": round(result.suppressed_share, 4),
            "cut": result.cut,
        }
    )


def _text(key: bytes | None) -> str | None:
    return None if key is None else key.decode("utf-8", "backslashreplace")


def show_check(result: EntityCheck, topic: str) -> None:
    """Print what a check found."""
    out = console()
    taken = result.events - result.refused
    _line(out, f"{result.events:,} events on {topic}")
    _line(
        out,
        f"✔ {taken:,} can be applied: {result.fast:,} by the fast path, "
        f"{result.validated:,} by pydantic",
        "green",
    )
    if result.refused:
        _line(out, f"✖ {result.refused:,} would be dead letters", "red")
    for each in sorted(result.refusals.values(), key=lambda refusal: -refusal.events):
        key = "no key" if each.key is None else f"key {printable(each.key)}"
        _line(out, f"    {each.events:,} {each.reason}: {harmless(each.message)}")
        _line(out, f"      first at partition {each.partition}, offset {each.offset}, {key}")
    if taken:
        emitted = f"{result.emitted:,} would be emitted ({_outcomes(result, _EMITTED)})"
        share = f"{result.suppressed_share:.1%} suppressed ({_outcomes(result, _NOT_EMITTED)})"
        _line(out, f"  {emitted}, {share}")
    if result.cut:
        partitions = ", ".join(map(str, result.cut))
        _line(out, f"Partitions {partitions} have lost their first events to retention.")


def _outcomes(result: EntityCheck, which: Sequence[Outcome]) -> str:
    return ", ".join(f"{result.outcomes[each]:,} {each}" for each in which)


def _line(out: Console, text: str, style: str = "") -> None:
    out.print(Text(text, style), soft_wrap=True)


def entity_json(entity: Entity) -> str:
    """Return what an event of an entity is as JSON. Raises ValueError without an example."""
    key, value = example_event(entity)
    said: dict[str, Any] = {
        "name": entity.name,
        "id": entity.id,
        "envelope": type(entity.envelope).__name__,
        "key_form": entity.key_form,
        "content": entity.content,
        "columns": [asdict(column) for column in row_columns(entity)],
        "example": {"key": key.decode(), "value": json.loads(value)},
        "schema": event_schema(entity),
    }
    return json.dumps(said)


def show_entity(entity: Entity) -> None:
    """Print what an event of an entity is."""
    out = console()
    key, value = example_event(entity)
    envelope = type(entity.envelope).__name__
    _line(out, f"{entity.name}: id {entity.id}, envelope {envelope}, keys as {entity.key_form}")
    table = Table(box=None, pad_edge=False)
    for heading in ("column", "kind", "null", "compared", "Flink", "PostgreSQL"):
        table.add_column(heading, overflow="fold")
    for column in row_columns(entity):
        null = "null" if column.nullable else ""
        compared = "yes" if column.name in entity.content else ""
        table.add_row(column.name, column.kind, null, compared, column.flink, column.postgres)
    out.print(table)
    _line(out, "\nExample")
    _line(out, f"key    {printable(key)}")
    _line(out, f"value  {printable(value)}")
    _line(out, "\nJSON Schema")
    _line(out, json.dumps(event_schema(entity), indent=2))
