"""`dedup check`: verdicts on events in a file, without a broker."""

import json
import sys
from collections import Counter
from typing import BinaryIO, Final

import click

_SOME_CANT_BE_APPLIED: Final = 3

_WITHOUT_TOPICS: Final = (
    "No broker was asked: deletions are remembered for 24 hours and rows may have 2 MiB, as on "
    "topics that the worker creates."
)

_EPILOG: Final = """\b
Examples:
  dedup check events.jsonl
  dedup check --summary events.jsonl
  jq -c . one-event.json | dedup check -
  dedup check events.jsonl --json | jq -r 'select(.outcome == "duplicate") | .why'

\b
Exit codes:
  0  every event can be applied
  1  a setting is wrong; a sentence on stderr says which
  2  wrong usage, or the file can't be opened
  3  some events would be dead letters
"""


@click.command(epilog=_EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option("--summary", "summary_only", is_flag=True, help="Print the counts alone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object for each event.")
def check(file: BinaryIO, summary_only: bool, as_json: bool) -> None:
    """Say what would become of each event in FILE (- for stdin), one JSON event on each line.

    The worker's own rules decide, from an empty state on, with the DEDUP_* settings of the
    environment. The product_id of an event is taken as its key, and the number of its line as its
    offset. No broker is needed: where the topics decide, their settings are those of topics that
    the worker creates. A deletion is remembered for 24 hours, and a row may have 2 MiB.
    """
    from dedup.inspection import checking, verdicts  # noqa: PLC0415 - as above
    from dedup.rules import rules_of  # noqa: PLC0415 - as above
    from dedup.terminal.command import settings_or_exit  # noqa: PLC0415 - slower than --help may be
    from dedup.terminal.console import console  # noqa: PLC0415 - as above

    rules = rules_of(settings_or_exit())
    outcomes: Counter[str] = Counter()
    out = console()
    for verdict in checking.verdicts_on(file, rules):
        outcomes[verdict.decision.outcome] += 1
        if summary_only:
            continue
        if as_json:
            click.echo(json.dumps({"line": verdict.at.offset, **verdicts.as_json(verdict)}))
        else:
            place = f"line {verdict.at.offset}"
            out.print(verdicts.as_line(verdict, place=place), soft_wrap=True)
    if not as_json:
        click.echo(checking.summary(outcomes))
    elif summary_only:
        click.echo(json.dumps({"events": outcomes.total(), "outcomes": outcomes}))
    click.echo(_WITHOUT_TOPICS, err=True)
    sys.exit(_SOME_CANT_BE_APPLIED if outcomes["dead_letter"] else 0)
