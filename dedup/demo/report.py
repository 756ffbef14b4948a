"""Prints the result of the demo: counts, some rows, and whether the oracle agrees."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dedup.demo.compare import Expectation, WorkerOutput, count_products, disagreements
from dedup.demo.worker import Counts

_OUTCOMES: Final = (
    ("change", "changes"),
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

    seconds: Mapping[str, float]


def report(console: Console, findings: Findings) -> bool:
    """Print the result; return whether the oracle agrees."""
    console.print("", _summary(findings), "")
    if findings.events_per_s is not None:
        _line(console, f"events/s: {_HOW_THE_RATE_WAS_TAKEN}")
    _line(console, f"Times: {_times(findings.seconds)}")
    console.print("", _rows(findings.output.rows), "")
    found = disagreements(findings.expected, findings.output, findings.counts.outcomes)
    if not found:
        emitted = findings.output.emitted
        ids = [event_id for history in emitted.values() for event_id in history]
        _line(
            console,
            f"✔ The oracle agrees: {len(ids) - ids.count(None):,} changes and "
            f"{ids.count(None):,} tombstones of {len(emitted):,} products, in order, "
            "nothing missing, nothing twice.",
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
        share = f"{100 * number / findings.events:.1f} %"
        table.add_row(f"  {label}", f"{number:,}", f"{expected[name]:,}", share)
    for reason, number in findings.counts.reasons.items():
        if number:
            table.add_row(f"    {reason}", f"{number:,}", "", "")
    products = count_products(findings.output.emitted)
    wanted = count_products(findings.expected.oracle.emitted)
    table.add_row("products left", f"{products:,}", f"{wanted:,}", "")
    rate = findings.events_per_s
    table.add_row("events/s", "too few" if rate is None else f"{rate:,.0f}", "", "")
    return table


def _rows(rows: Mapping[int, Mapping[str, Any]]) -> Table:
    table = Table(
        title=f"src_products, {min(_SHOWN_ROWS, len(rows))} of {len(rows):,} rows",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for heading in ("id", "name", "price", "stock", "discount", "last action", "at (UTC)"):
        right = heading in {"id", "price", "stock", "discount"}
        table.add_column(
            heading, justify="right" if right else "left", no_wrap=True, overflow="ellipsis"
        )
    for product_id, row in islice(sorted(rows.items()), _SHOWN_ROWS):
        table.add_row(
            str(product_id),
            Text(row["product_name"]),  # brackets in a name are not markup
            row["price"],
            str(row["stock_quantity"]),
            row["discount"],
            row["last_action"],
            row["last_event_timestamp"][11:23],
        )
    return table
