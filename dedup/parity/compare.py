"""Compares the rows of each product on two topics: their order, and the last one."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from dedup.core.printable import printable
from dedup.core.row import ROW_FIELDS, read_output_key

Row = Mapping[str, Any]
RowHistory = Sequence[Row | None]
"""The rows of a product as they were emitted; None is a tombstone."""

_COMPARED: Final = tuple(field for field in ROW_FIELDS if field != "processing_time")
_DECIMALS: Final = frozenset({"price", "discount", "last_old_price"})


class Difference(NamedTuple):
    """A product whose histories differ."""

    product_id: int
    worker: RowHistory
    flink: RowHistory


def row_histories(records: Iterable[Any]) -> dict[int, list[Row | None]]:
    """Return the histories in the records of a `src_products` topic, in order of each partition."""
    found: dict[int, list[Row | None]] = defaultdict(list)
    for record in records:
        product_id = read_output_key(record.key)
        if product_id is not None:
            found[product_id].append(None if record.value is None else _read(record.value))
    return found


def _read(value: bytes) -> Row:
    """Return a comparable row; for one that can't be read, its text as the name."""
    try:
        return _row(value)
    except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return dict.fromkeys(_COMPARED) | {"product_name": printable(value)}


def _row(value: bytes) -> Row:
    """Return a comparable row: without the processing time, with prices as numbers."""
    row = json.loads(value, parse_float=Decimal)
    return {
        field: Decimal(str(row[field]))
        if field in _DECIMALS and row.get(field) is not None
        else row.get(field)
        for field in _COMPARED
    }


def differences(
    worker: Mapping[int, RowHistory], flink: Mapping[int, RowHistory], *, compacted: bool = False
) -> list[Difference]:
    """Return the products whose histories differ, by id.

    With `compacted`, the worker's topic may lack rows that later ones of the product replaced: the
    remaining rows must be in Flink's history in the same order, and the last row must be equal. A
    product that is deleted on both sides is equal, even if compaction has removed its tombstone.
    """
    found = []
    for product_id in sorted(worker.keys() | flink.keys()):
        of_worker, of_flink = worker.get(product_id, ()), flink.get(product_id, ())
        equal = _is_compaction_of(of_worker, of_flink) if compacted else of_worker == of_flink
        if not equal:
            found.append(Difference(product_id, of_worker, of_flink))
    return found


def _is_compaction_of(compacted: RowHistory, complete: RowHistory) -> bool:
    rest = iter(complete)
    same_end = (compacted[-1] if compacted else None) == (complete[-1] if complete else None)
    return same_end and all(row in rest for row in compacted)
