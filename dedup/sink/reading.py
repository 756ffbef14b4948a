"""Reads records of the output topic: the id of each, and the values of its row."""

from contextlib import suppress
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from dedup.core.codec import Codec
from dedup.core.entity import Entity
from dedup.core.keys import Id
from dedup.core.payload import PlainPayload
from dedup.core.strict_json import is_plain_text

Values = tuple[Any, ...]
"""The values of a row in normal form, in the order of the entity's fields."""


class RowReader:
    """Reads the rows of an entity and their keys.

    A row as the worker writes it is read without its members that are no fields: they have no
    column, and their times alone take as long as the rest. The codec reads every other row.
    """

    def __init__(self, entity: Entity) -> None:
        self._codec: Final = Codec(entity)
        self._plain: Final = PlainPayload([field.marked(None) for field in entity.fields])
        self._decode: Final = msgspec.json.Decoder(self._plain.type).decode

    def read(self, key: bytes | None, value: bytes | None) -> tuple[Id, Values | None] | None:
        """Return id and values, None for a deleted row; None when it is no row of the entity."""
        values = None if value is None else self.values(value)
        if values is None and value is not None:
            return None
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
