"""Whether two topics tell the same story: per product the rows in order, and the last of each."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from dedup.core.printable import printable
from dedup.core.row import ROW_FIELDS, read_output_key

Row = Mapping[str, Any]
Story = Sequence[Row | None]
"""The rows of a product as they were emitted; None is a tombstone."""

_COMPARED: Final = tuple(field for field in ROW_FIELDS if field != "processing_time")
_DECIMALS: Final = frozenset({"price", "discount", "last_old_price"})


class Difference(NamedTuple):
    """A product whose stories differ."""

    product_id: int
    worker: Story
    flink: Story


def stories(records: Iterable[Any]) -> dict[int, list[Row | None]]:
    """Read records of a `src_products` topic, each partition's in order."""
    found: dict[int, list[Row | None]] = defaultdict(list)
    for record in records:
        product_id = read_output_key(record.key)
        if product_id is not None:
            found[product_id].append(None if record.value is None else _read(record.value))
    return found


def _read(value: bytes) -> Row:
    """Return a row in a form that compares; of one that can't be read, its text as the name."""
    try:
        return _row(value)
    except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return dict.fromkeys(_COMPARED) | {"product_name": printable(value)}


def _row(value: bytes) -> Row:
    """Return a row in a form that compares: all but the time of processing, prices as numbers."""
    row = json.loads(value, parse_float=Decimal)
    return {
        field: Decimal(str(row[field]))
        if field in _DECIMALS and row.get(field) is not None
        else row.get(field)
        for field in _COMPARED
    }


def differences(
    worker: Mapping[int, Story], flink: Mapping[int, Story], *, compacted: bool = False
) -> list[Difference]:
    """Return the products whose stories differ, by id.

    With `compacted` the worker's topic may lack rows that a later one of the product replaced, so
    what is left must be found in order on the other side, and the last must be the same. A product
    that is gone on both sides is equal, though nothing is left of it on the one.
    """
    found = []
    for product_id in sorted(worker.keys() | flink.keys()):
        mine, theirs = worker.get(product_id, ()), flink.get(product_id, ())
        equal = _is_left_of(mine, theirs) if compacted else mine == theirs
        if not equal:
            found.append(Difference(product_id, mine, theirs))
    return found


def _is_left_of(mine: Story, theirs: Story) -> bool:
    last_mine, last_theirs = (mine[-1] if mine else None), (theirs[-1] if theirs else None)
    rest = iter(theirs)
    return last_mine == last_theirs and all(row in rest for row in mine)
