"""Prints what is known of an id: its row, headers, records and events."""

from rich.table import Table
from rich.text import Text

from dedup.core.printable import harmless
from dedup.inspection.row import RowInspection, emitted_at
from dedup.inspection.row_json import record_json, remembered_json, row_json
from dedup.kafka.partitioning import how_placed
from dedup.terminal.console import console
from dedup.terminal.decisions import decision_line


def show_row(found: RowInspection, limit: int) -> None:
    """Print a row with its newest records and events; the newest are last."""
    out = console()
    title = f"{found.codec.entity.name.capitalize()} {harmless(found.row_id)}, {_partitions(found)}"
    out.print(Text(title, "bold"), soft_wrap=True)
    _show_record(found)
    _show_remembered(found, limit)
    if found.records:
        out.print(Text(f"\nOn {found.topic}", "bold"), _records(found, limit), sep="\n")
    if found.events:
        out.print(Text("\nEvents and the decisions on them", "bold"))
        for event in found.events[-limit:]:
            line = decision_line(event)
            emitted = emitted_at(event)
            if emitted is not None:
                line.append(f"  → {found.topic} {event.at.partition}:{emitted}", "dim")
            out.print(line, soft_wrap=True)
    left_out = len(found.events) - limit
    if left_out > 0:
        out.print(f"{left_out:,} older events are not shown; --events shows more.")
    if not found.complete:
        out.print(
            "Older events are no longer on the topic: the first decisions may differ without them."
        )


def _partitions(found: RowInspection) -> str:
    """Return its partition; if there are several, with the partitioners that choose them."""
    if len(found.partitions) == 1:
        return f"partition {found.partition}"
    count = found.partition_count
    how = [
        f"{p} ({how_placed(found.codec.keys.of_events(found.row_id), p, count)})"
        for p in found.partitions
    ]
    return f"in several partitions: {' and '.join(how)}"


def _show_record(found: RowInspection) -> None:
    out = console()
    row = row_json(found.records[-1], found.codec) if found.records else None
    if row is None:
        deleted = "was deleted: its newest record is a tombstone"
        out.print(f"row  {deleted if found.records else 'has none'}")
        return
    for name, value in row.items():
        out.print(Text(f"  {name:<21} {harmless(value)}"), soft_wrap=True)
    for name, value in record_json(found.records[-1], found.codec)["headers"].items():
        out.print(Text(f"  {harmless(name):<21} {value}", "dim"), soft_wrap=True)
    match found.fingerprint_matches():
        case True:
            out.print("The fingerprint in its headers is that of the row.")
        case False:
            out.print(Text("The fingerprint in its headers is NOT that of the row.", "red"))
        case None:
            out.print("Its headers have no fingerprint that this version can check.")
    for note in found.notes:
        text = f"{note} Its records and events are shown with the setting of that record."
        out.print(Text(text, "yellow"), soft_wrap=True)


def _show_remembered(found: RowInspection, limit: int) -> None:
    """Print what the window remembers, the newest first: nothing with no window."""
    remembered, rules = remembered_json(found), found.rules
    if not remembered:
        return
    out = console()
    count = "" if rules.strategy == "latest" else f": {len(remembered)} of {rules.window_entries}"
    what = "event ids" if rules.strategy == "event_id" else "content"
    out.print(Text(f"\nRemembered {what}{count}", "bold"))
    for each in remembered[:limit]:
        named = "that of the row" if each["of_row"] else each["digest"]
        ended = "" if each["inside"] else ", which has ended"
        line = f"  {named:<32}  {each['text']}{ended}"
        out.print(Text(line, "" if each["inside"] else "dim"), soft_wrap=True)
    if len(remembered) > limit:
        out.print(f"  {len(remembered) - limit:,} older ones are not shown; --events shows more.")


def _records(found: RowInspection, limit: int) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("offset", "time (UTC)", "of event", "event time", "action", "event id"):
        table.add_column(heading, overflow="fold")
    for record in found.records[-limit:]:
        shown = record_json(record, found.codec)
        row = shown["row"] or {}
        offset = shown["offset"]
        cells = (
            offset if len(found.partitions) == 1 else f"{record.partition}:{offset}",
            shown["time"],
            shown["source"],
            shown["event_time"],
            row.get("last_action", "tombstone" if shown["row"] is None else None),
            row.get("last_event_id"),
        )
        table.add_row(*(Text(harmless(cell)) for cell in cells))
    return table
