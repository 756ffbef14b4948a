"""Prints dead letters: a table of several, or everything about one."""

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from dedup.core.printable import printable
from dedup.dlq.record import DeadLetterRecord
from dedup.terminal.console import console


def show_dead_letters(letters: Iterable[DeadLetterRecord]) -> None:
    """Print a line for each dead letter."""
    table = Table(box=None, pad_edge=False)
    table.add_column("position", no_wrap=True)
    for heading, width in (("reason", 11), ("source", 10), ("time (UTC)", 10), ("key", 3)):
        table.add_column(heading, min_width=width, overflow="fold")
    table.add_column("message", min_width=20, overflow="fold")
    for letter in letters:
        key = "" if letter.key is None else printable(letter.key)
        time = letter.time[:19].replace("T", " ")
        again = "" if letter.replayed is None else f" Re-submitted {letter.replayed[:19]}Z."
        message = letter.message + again
        cells = (letter.position, letter.reason, _source(letter), time, key, message)
        table.add_row(*map(Text, cells))  # Text: markup in an event is not interpreted
    console().print(table)


def show_dead_letter(letter: DeadLetterRecord) -> None:
    """Print everything about a dead letter; its value last."""
    lines = [
        f"position  {letter.position}",
        f"reason    {letter.reason}",
        f"message   {letter.message}",
        f"source    {_source(letter)}",
        f"time      {letter.time}",
        f"key       {'(none)' if letter.key is None else printable(letter.key)}",
        *(f"header    {_header(name, value)}" for name, value in letter.headers),
    ]
    if letter.replayed is not None:
        lines.append(f"replayed  {letter.replayed}")
    value = letter.value
    size = "none" if value is None else f"{letter.value_size:,} bytes"
    if "value" in letter.truncated and value is not None:
        size = f"the first {len(value):,} of {size}"
    lines.append(f"value     ({size})")
    lines += [] if value is None else [printable(line) for line in value.split(b"\n")]
    for line in lines:
        console().print(Text(line), soft_wrap=True)


def _header(name: str, value: bytes | None) -> str:
    return f"{printable(name.encode())}={'(null)' if value is None else printable(value)}"


def _source(letter: DeadLetterRecord) -> str:
    partition, offset = (
        "?" if number is None else number
        for number in (letter.source_partition, letter.source_offset)
    )
    return f"{letter.source_topic or '?'} {partition}:{offset}"
