"""The values of many rows as one parameter of a statement: an array in PostgreSQL's binary format.

psycopg writes an array value by value in Python. Its compiled function for a row of COPY writes the
same bytes, each value after its length, in a quarter of the time.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Any, Final, NamedTuple

from psycopg import adapters
from psycopg._copy_base import format_row_binary
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper, Transformer
from psycopg.pq import Format

_HEAD: Final = Struct(">iiIii")
"""Dimensions, whether there are nulls, type of the elements, their number, index of the first."""

_COUNT_BYTES: Final = 2


class Array(NamedTuple):
    """Values and the name of their type. The statement has to name the type of the array."""

    element: str
    values: Sequence[Any]


class ArrayDumper(Dumper):
    """Writes an `Array`."""

    format = Format.BINARY

    def __init__(self, cls: type, context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        self._elements = Transformer(context)

    def dump(self, obj: Array) -> bytearray:
        """Return the array in binary."""
        oid, count = adapters.types[obj.element].oid, len(obj.values)
        self._elements.set_dumper_types([oid] * count, self.format)
        data = bytearray()
        format_row_binary(obj.values, self._elements, data)
        data[:_COUNT_BYTES] = _HEAD.pack(1, None in obj.values, oid, count, 1)
        return data
