"""The keys of states in RocksDB: ids as bytes, in an order that is also that of the ids."""

import struct
from typing import Final

from dedup.core.entity import Entity
from dedup.core.keys import Id

FIRST_OTHER_KEY: Final = b"\x80"
"""No key of a state begins with this byte or a larger one."""

_UNSIGNED: Final = struct.Struct(">Q")
_OFFSET_BINARY: Final = struct.Struct(">BQ")
_LEAST: Final = -(2**63)
_OURS: Final = 1


class RowKeys:
    """Writes and reads the keys of an entity's states.

    An id that is never negative is 8 bytes, big-endian. Any other begins with a byte 1: integers as
    their distance from the least one in 8 bytes, texts in UTF-8.
    """

    def __init__(self, entity: Entity) -> None:
        field = entity.fields[0]
        least = field.annotation.limits.ge
        self._is_integer: Final = field.kind.name == "integer"
        self._is_unsigned: Final = self._is_integer and least is not None and least >= 0
        self.first: Final = self.write(0) if self._is_unsigned else bytes([_OURS])

    def write(self, row_id: Id) -> bytes:
        """Return the key of an id."""
        if not isinstance(row_id, int):
            return bytes([_OURS]) + row_id.encode()
        if self._is_unsigned:
            return _UNSIGNED.pack(row_id)
        return _OFFSET_BINARY.pack(_OURS, row_id - _LEAST)

    def read(self, key: bytes) -> Id:
        """Return the id of a key."""
        if self._is_unsigned:
            unsigned: int = _UNSIGNED.unpack(key)[0]
            return unsigned
        if self._is_integer:
            distance: int = _OFFSET_BINARY.unpack(key)[1]
            return distance + _LEAST
        return key[1:].decode()
