"""Prints the result of the demo: counts, some rows, and whether the oracle agrees."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dedup.demo.compare import Expectation, WorkerOutput, count_rows, disagreements
from dedup.demo.example import Choice, Example, Oracle, Row
from dedup.demo.worker import Counts

_OUTCOMES: Final = (
    ("change", "changes"),
    ("refresh", "refreshes"),
    ("duplicate", "duplicates"),
    ("stale", "stale"),
    ("replayed", "replayed"),
    ("tombstone", "tombstones"),
    ("dead_letter", "dead letters"),
)
_HOW_THE_RATE_WAS_TAKEN: Final = (
    "counted by the worker from the first to the last poll of its /metrics with new events, "
    "over the time between the two; polled every 20 ms."
)
_SHOWN_ROWS: Final = 6
_SHOWN_DISAGREEMENTS: Final = 5


@dataclass(frozen=True)
class Findings:
    """The expected and the actual output, and the times."""

    events: int
    expected: Expectation
    output: WorkerOutput
    counts: Counts
    events_per_s: float | None
    """None if there were too few events to measure."""

    topic: str
    """The output topic."""

    seconds: Mapping[str, float]


def report(console: Console, findings: Findings) -> bool:
    """Print the result; return whether the oracle agrees."""
    console.print("", _summary(findings), "")
    if findings.events_per_s is not None:
        _line(console, f"events/s: {_HOW_THE_RATE_WAS_TAKEN}")
    _line(console, f"Times: {_times(findings.seconds)}")
    example = findings.expected.example
    if example.choice is not None:
        _line(console, _strategies(example.choice, findings.expected))
    console.print("", _rows(example, findings.topic, findings.output.rows), "")
    found = disagreements(findings.expected, findings.output, findings.counts.outcomes)
    if not found:
        emitted = findings.output.emitted
        ids = [event_id for history in emitted.values() for event_id in history]
        rows = "rows" if findings.expected.oracle.outcomes["refresh"] else "changes"
        _line(
            console,
            f"✔ The oracle agrees: {len(ids) - ids.count(None):,} {rows} and "
            f"{ids.count(None):,} tombstones of {len(emitted):,} {example.entity.plural}, "
            "in order, nothing missing, nothing twice.",
            "green",
        )
        return True
    places = "1 place" if len(found) == 1 else f"{len(found):,} places"
    _line(console, f"✘ The oracle disagrees in {places}:", "bold red")
    for place in found[:_SHOWN_DISAGREEMENTS]:
        _line(console, f"  {place}", "red")
    if len(found) > _SHOWN_DISAGREEMENTS:
        _line(console, f"  and {len(found) - _SHOWN_DISAGREEMENTS:,} more", "red")
    return False


def _strategies(choice: Choice, expected: Expectation) -> str:
    """Return what the strategy emitted, and what others emit of the same events."""
    others = ", ".join(f"{name} {_emissions(oracle):,}" for name, oracle in expected.others.items())
    return (
        f"Strategy {choice}: {_emissions(expected.oracle):,} emissions. "
        f"Of the same events: {others}."
    )


def _emissions(oracle: Oracle) -> int:
    return sum(map(len, oracle.emitted.values()))


def _times(seconds: Mapping[str, float]) -> str:
    phases = [f"{phase[0].lower()}{phase[1:]} {time:.1f} s" for phase, time in seconds.items()]
    return f"{', '.join(phases)}; {sum(seconds.values()):.1f} s in all."


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(text, style=style, markup=False, highlight=False)


def _summary(findings: Findings) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("")
    for heading in ("worker", "oracle", "share"):
        table.add_column(heading, justify="right", no_wrap=True)
    expected, counted = findings.expected.oracle.outcomes, findings.counts.outcomes
    table.add_row("events", f"{sum(counted.values()):,}", f"{findings.events:,}", "")
    for name, label in _OUTCOMES:
        number = counted.get(name, 0)
        if name == "refresh" and not number and not expected[name]:
            continue  # with `latest` and no window there are none
        share = f"{100 * number / findings.events:.1f} %"
        table.add_row(f"  {label}", f"{number:,}", f"{expected[name]:,}", share)
    for reason, number in findings.counts.reasons.items():
        if number:
            table.add_row(f"    {reason}", f"{number:,}", "", "")
    left = count_rows(findings.output.emitted)
    wanted = count_rows(findings.expected.oracle.emitted)
    label = f"{findings.expected.example.entity.plural} left"
    table.add_row(label, f"{left:,}", f"{wanted:,}", "")
    rate = findings.events_per_s
    table.add_row("events/s", "too few" if rate is None else f"{rate:,.0f}", "", "")
    return table


def _rows(example: Example, topic: str, rows: Mapping[Any, Row]) -> Table:
    table = Table(
        title=f"{topic}, {min(_SHOWN_ROWS, len(rows))} of {len(rows):,} rows",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in example.columns:
        table.add_column(
            column.heading,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for _, row in islice(sorted(rows.items()), _SHOWN_ROWS):
        # Brackets in a value are not markup.
        table.add_row(*(Text(str(column.text(row))) for column in example.columns))
    return table
