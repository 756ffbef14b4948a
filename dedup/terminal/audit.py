"""Prints the result of an audit."""

from dedup.inspection.audit_result import Audit
from dedup.terminal.console import console


def show_audit(result: Audit) -> None:
    """Print a line for each check, its faults below it, and the notes."""
    out = console()
    for check in result.checks:
        colour, sign = ("red", "✖") if check.faults else ("green", "✔")
        counts = f"{check.looked_at:,} looked at, {check.faults:,} faults"
        counts += f", {check.not_judged:,} not judged" if check.not_judged else ""
        out.print(f"[{colour}]{sign}[/] {check.title}: {counts}", soft_wrap=True)
        for text in check.named:
            out.print(f"    {text}", markup=False, soft_wrap=True)
        if check.faults > len(check.named):
            out.print(f"    ... and {check.faults - len(check.named):,} more")
    for note in result.notes:
        text = f"{note} Each record is checked with the settings it was made with."
        out.print(text, markup=False, soft_wrap=True)
    if result.cut:
        partitions = ", ".join(map(str, result.cut))
        out.print(
            f"Partitions {partitions} of the events have lost their beginning to retention: rows "
            "there that differ are not judged.",
            soft_wrap=True,
        )
