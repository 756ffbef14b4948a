"""`dedup verify`: an audit of src_products."""

import json
import sys
from dataclasses import asdict
from typing import Final

import click

_FAULTS_FOUND: Final = 3

_EPILOG: Final = """\b
Examples:
  dedup verify
  dedup verify --json | jq '.checks[] | select(.faults > 0)'

\b
What it proves: each record is a row of its product, in the partition of its event, with the
fingerprint in its headers; no product has rows in two partitions; no two consecutive records of a
product are equal; and, where KAFKA_PRODUCT_TOPIC still has all events of a partition, each row is
the result of these events. A record is checked with the settings it was made with, not the current
ones.
What it can't prove: the records that compaction has removed; and, where retention has removed
events, whether a row that differs is wrong. Such rows are counted as not judged.

\b
Exit codes:
  0    no fault was found
  1    the audit failed; stderr says why
  2    wrong usage
  3    faults were found
  130  stopped by Ctrl-C
"""


@click.command(epilog=_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object.")
def verify(as_json: bool) -> None:
    """Audit src_products against the events.

    Checks the settings and records of KAFKA_SRC_PRODUCTS_TOPIC, and its rows against a replay of
    KAFKA_PRODUCT_TOPIC. It reads both topics up to their current end, and changes nothing.
    """
    from dedup.inspection.audit import audit
    from dedup.terminal.audit import show_audit
    from dedup.terminal.command import run

    found = run(audit)
    if as_json:
        checks = [asdict(check) for check in found.checks]
        report = {"sound": found.sound, "checks": checks, "cut": found.cut, "notes": found.notes}
        click.echo(json.dumps(report))
    else:
        show_audit(found)
    sys.exit(0 if found.sound else _FAULTS_FOUND)
