"""`dedup check`: decisions on events in a file, without a broker."""

import json
import os
import sys
from collections import Counter
from typing import BinaryIO, Final

import click

_SOME_CANT_BE_APPLIED: Final = 3

_WITHOUT_TOPICS: Final = (
    "No broker was asked: deletions are remembered for 24 hours and rows may have 2 MiB, as with "
    "topics that the worker creates."
)

_EPILOG: Final = """\b
Examples:
  dedup check events.jsonl
  dedup check --summary events.jsonl
  jq -c . one-event.json | dedup check -
  dedup check --key AB-1 one-event.json
  dedup check events.jsonl --json | jq -r 'select(.outcome == "duplicate") | .why'

\b
Exit codes:
  0  every event can be applied
  1  a setting is wrong; stderr says which
  2  wrong usage, or the file can't be opened
  3  some events would be dead letters
"""


@click.command(epilog=_EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option("--key", help="The record key of every event.  [default: the id in the event]")
@click.option("--summary", "summary_only", is_flag=True, help="Print only the counts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object for each event.")
def check(file: BinaryIO, key: str | None, summary_only: bool, as_json: bool) -> None:
    """Print the decision on each event in FILE.

    FILE (- for stdin) has one JSON event on each line. The worker's rules decide, with the DEDUP_*
    settings of the environment and no known rows. The key of an event is the id in it, unless
    --key names one; its offset is the line number. No broker is needed: limits that depend on the
    topics are those of topics that the worker creates: a deletion is remembered for 24 hours, and a
    row may have 2 MiB.
    """
    from dedup.inspection.decided_events import decision_json
    from dedup.inspection.event_file import decide_lines, summary
    from dedup.rules import rules_of
    from dedup.settings import load_settings
    from dedup.terminal.console import console
    from dedup.terminal.decisions import decision_line

    rules = rules_of(load_settings(os.environ))
    outcomes: Counter[str] = Counter()
    out = console()
    for decided in decide_lines(file, rules, None if key is None else os.fsencode(key)):
        outcomes[decided.decision.outcome] += 1
        if summary_only:
            continue
        line = decided.at.offset
        if as_json:
            click.echo(json.dumps({"line": line, **decision_json(decided)}))
        else:
            out.print(decision_line(decided, position=f"line {line}"), soft_wrap=True)
    if not as_json:
        click.echo(summary(outcomes))
    elif summary_only:
        click.echo(json.dumps({"events": outcomes.total(), "outcomes": outcomes}))
    click.echo(_WITHOUT_TOPICS, err=True)
    sys.exit(_SOME_CANT_BE_APPLIED if outcomes["dead_letter"] else 0)
