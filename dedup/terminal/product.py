"""One product for people and for programs: row, headers, history, events with verdicts."""

from typing import Any

from rich.table import Table
from rich.text import Text

from dedup.core.explain import instant
from dedup.core.printable import harmless, printable
from dedup.core.row import readable_row
from dedup.core.state import UNKNOWN_SOURCE
from dedup.inspection import verdicts
from dedup.inspection.inspecting import Emission, ProductInspection
from dedup.kafka.partitioning import how_placed
from dedup.terminal.console import console


def as_json(product: ProductInspection, limit: int) -> dict[str, Any]:
    """Return what `dedup inspect --json` prints; the last of each list is the newest."""
    events = [
        verdicts.as_json(verdict) | {"emitted_at": product.emitted_at(verdict)}
        for verdict in product.verdicts[-limit:]
    ]
    return {
        "product_id": product.product_id,
        "partition": product.partition,
        "partitions": product.partitions,
        "row": _row(product.emissions[-1]) if product.emissions else None,
        "fingerprint_matches": product.fingerprint_matches(),
        "fingerprint_fields": product.fingerprint_fields(),
        "notes": product.notes,
        "events_complete": product.complete,
        "history": [_emission(emission) for emission in product.emissions[-limit:]],
        "events": events,
    }


def show(product: ProductInspection, limit: int) -> None:
    """Print it; the newest stands last."""
    out = console()
    out.print(Text(f"Product {product.product_id}, {_places(product)}", "bold"), soft_wrap=True)
    _show_row(product)
    if product.emissions:
        out.print(Text("\nOn src_products", "bold"), _history(product, limit), sep="\n")
    if product.verdicts:
        out.print(Text("\nEvents, as they are decided on", "bold"))
        for verdict in product.verdicts[-limit:]:
            place = f"{verdict.at.partition}:{verdict.at.offset}"
            line = verdicts.as_line(verdict, place=place)
            emitted = product.emitted_at(verdict)
            if emitted is not None:
                line.append(f"  → src_products {verdict.at.partition}:{emitted}", "dim")
            out.print(line, soft_wrap=True)
    left_out = len(product.verdicts) - limit
    if left_out > 0:
        out.print(f"{left_out:,} older events are not shown; --events shows more.")
    if not product.complete:
        out.print("Older events are no longer on the topic: the first verdicts may lack them.")


def _places(product: ProductInspection) -> str:
    """Say in which partitions it is; in several, how each of them was chosen."""
    if len(product.partitions) == 1:
        return f"partition {product.partition}"
    how = [f"{p} ({how_placed(product.product_id, p, product.of)})" for p in product.partitions]
    return f"in several partitions: {' and '.join(how)}"


def _show_row(product: ProductInspection) -> None:
    out = console()
    row = _row(product.emissions[-1]) if product.emissions else None
    if row is None:
        gone = "was deleted: its newest record is a tombstone" if product.emissions else "has none"
        out.print(f"row  {gone}")
        return
    for name, value in row.items():
        out.print(Text(f"  {name:<21} {harmless(value)}"), soft_wrap=True)
    for name, value in _emission(product.emissions[-1])["headers"].items():
        out.print(Text(f"  {harmless(name):<21} {value}", "dim"), soft_wrap=True)
    match product.fingerprint_matches():
        case True:
            out.print("The fingerprint in its headers is that of the row.")
        case False:
            out.print(Text("The fingerprint in its headers is NOT that of the row.", "red"))
        case None:
            out.print("Its headers hold no fingerprint that this version can check.")
    for note in product.notes:
        out.print(
            Text(f"{note} Its records and events are told by those.", "yellow"), soft_wrap=True
        )


def _history(product: ProductInspection, limit: int) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("offset", "time (UTC)", "of event", "event time", "action", "event id"):
        table.add_column(heading, overflow="fold")
    for emission in product.emissions[-limit:]:
        told = _emission(emission)
        partition = emission.record.partition
        row = told["row"] or {}
        cells = (
            told["offset"] if len(product.partitions) == 1 else f"{partition}:{told['offset']}",
            told["time"],
            told["source"],
            told["event_time"],
            row.get("last_action", "tombstone" if told["row"] is None else None),
            row.get("last_event_id"),
        )
        table.add_row(*(Text(harmless(cell)) for cell in cells))
    return table


def _emission(emission: Emission) -> dict[str, Any]:
    record, state = emission.record, emission.state
    headers = {printable(name.encode()): printable(value) for name, value in record.headers}
    source = None
    if state is not None and state.partition != UNKNOWN_SOURCE:
        source = f"{state.partition}:{state.offset}"
    return {
        "partition": record.partition,
        "offset": record.offset,
        "time": instant(record.timestamp * 1000),
        "source": source,
        "event_time": None if state is None else instant(state.event_time),
        "headers": headers,
        "row": _row(emission),
    }


def _row(emission: Emission) -> dict[str, Any] | None:
    """Return the row as it stands there; of one that can't be read, its text."""
    value = emission.record.value
    if value is None:
        return None
    return readable_row(value) or {"unreadable": printable(value)}
