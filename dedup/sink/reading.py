"""Reads records of the output topic: the id of each, and the values of its row."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC
from typing import Any, Final, Protocol

import msgspec
from msgspec.structs import astuple

from dedup.core.codec import Codec
from dedup.core.entity import Entity
from dedup.core.keys import Id
from dedup.core.payload import PlainPayload
from dedup.core.strict_json import is_plain_text
from dedup.core.wire_forms import is_in_utc

Values = tuple[Any, ...]
"""The values of a row in normal form, in the order of the entity's fields."""

Read = tuple[Id, Values | None]
"""An id and its row, None if it was deleted."""


class Record(Protocol):
    """A record of the output topic."""

    @property
    def key(self) -> bytes | None:
        """Its key."""

    @property
    def value(self) -> bytes | None:
        """Its value; None deletes the row."""


class RowReader:
    """Reads the rows of an entity and their keys.

    A row as the worker writes it is read without its members that are no fields: they have no
    column, and their times alone take as long as the rest. The codec reads every other row.
    """

    def __init__(self, entity: Entity) -> None:
        self._codec: Final = Codec(entity)
        self._plain: Final = PlainPayload([field.marked(None) for field in entity.fields])
        self._decode: Final = msgspec.json.Decoder(self._plain.type).decode
        forms = [form for _, form in self._plain.forms]
        self._in_columns: Final = all(form.convert is None for form in forms)
        self._tests: Final = [
            (index, _test_of_column(form.plain)) for index, form in enumerate(forms) if form.plain
        ]

    def read_all(self, records: Sequence[Record]) -> list[Read | None]:
        """Return what `read` returns of each record.

        If all rows are as the worker writes them, their values are tested column by column.
        """
        rows = self._plain_rows([value for r in records if (value := r.value) is not None])
        if rows is None:
            return [self.read(record.key, record.value) for record in records]
        left = iter(rows)
        return [self._with_id(r.key, None if r.value is None else next(left)) for r in records]

    def read(self, key: bytes | None, value: bytes | None) -> Read | None:
        """Return id and values, None for a deleted row; None when it is no row of the entity."""
        values = None if value is None else self.values(value)
        return None if values is None and value is not None else self._with_id(key, values)

    def _with_id(self, key: bytes | None, values: Values | None) -> Read | None:
        keys = self._codec.keys
        if values is not None and key == keys.write(values[0], "json"):
            return values[0], values  # the common key; to write it is faster than to read it
        row_id = keys.read_output(key)
        return None if row_id is None else (row_id, values)

    def values(self, row: bytes) -> Values | None:
        """Return the values of a row in any accepted form; None when it is no row."""
        with suppress(ValueError, RecursionError):  # msgspec's errors are ValueErrors
            if is_plain_text(row):
                plain = self._decode(row)
                if self._plain.normalise(plain):
                    return astuple(plain)
        read = self._codec.read_row(row)
        return None if read is None else read.values

    def _plain_rows(self, rows: Sequence[bytes]) -> list[Values] | None:
        """Return the values of rows as the worker writes them; None when one is in another form."""
        if not self._in_columns:
            return None
        try:
            if not is_plain_text(b"\n".join(rows)):
                return None
            read: list[Values] = [astuple(self._decode(row)) for row in rows]
            columns = list(zip(*read, strict=True))
            normal = not read or all(test(columns[index]) for index, test in self._tests)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return None
        return read if normal else None


def _test_of_column(is_plain: Callable[[Any], object]) -> Callable[[Values], bool]:
    """Return the function that tells whether all values but null pass a test."""
    if is_plain is is_in_utc:
        return lambda column: all(time is None or time.tzinfo is UTC for time in column)
    # Texts: prices and dates repeat.
    return lambda column: all(is_plain(text) for text in set(column) if text is not None)
