"""`dedup verify`: an audit of src_products."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from dedup.inspection.auditing import Audit

_FAULTS_FOUND: Final = 3

_EPILOG: Final = """\b
Examples:
  dedup verify
  dedup verify --json | jq '.checks[] | select(.faults > 0)'

\b
What it proves: each record is a row of its product, in the partition of its event, with the
fingerprint its headers say; no product has rows in two partitions; no two neighbouring records of a
product are equal; and, where KAFKA_PRODUCT_TOPIC still has all events of a partition, each row is
what these events lead to. A record is judged by the settings it was made with, not by today's.
What it can't prove: what compaction has removed; and, where retention has removed events, a row
that differs from what the others lead to. Such rows are counted as not judged.

\b
Exit codes:
  0    no fault was found
  1    the audit could not be done; a sentence on stderr says why
  2    wrong usage
  3    faults were found
  130  stopped by Ctrl-C
"""


@click.command(epilog=_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
def verify(as_json: bool) -> None:
    """Audit KAFKA_SRC_PRODUCTS_TOPIC: settings, records, and rows against a replay of the events.

    It reads both topics to their end as they stand now, and changes nothing.
    """
    from dedup.inspection.auditing import audit  # noqa: PLC0415 - as above
    from dedup.terminal.command import run  # noqa: PLC0415 - aiokafka is slower than --help may be

    found = run(audit)
    if as_json:
        checks = [asdict(check) for check in found.checks]
        report = {"sound": found.sound, "checks": checks, "cut": found.cut, "notes": found.notes}
        click.echo(json.dumps(report))
    else:
        _show(found)
    sys.exit(0 if found.sound else _FAULTS_FOUND)


def _show(found: "Audit") -> None:
    from dedup.terminal.console import console  # noqa: PLC0415 - as above

    out = console()
    for check in found.checks:
        colour, sign = ("red", "✖") if check.faults else ("green", "✔")
        counts = f"{check.looked_at:,} looked at, {check.faults:,} faults"
        counts += f", {check.not_judged:,} not judged" if check.not_judged else ""
        out.print(f"[{colour}]{sign}[/] {check.title}: {counts}", soft_wrap=True)
        for sentence in check.named:
            out.print(f"    {sentence}", markup=False, soft_wrap=True)
        if check.faults > len(check.named):
            out.print(f"    ... and {check.faults - len(check.named):,} more")
    for note in found.notes:
        out.print(f"{note} Each record is judged by its own.", markup=False, soft_wrap=True)
    if found.cut:
        partitions = ", ".join(map(str, found.cut))
        out.print(
            f"Partitions {partitions} of the events have lost their beginning to retention: rows "
            "there that differ are not judged.",
            soft_wrap=True,
        )
