"""Ids in addresses: reading them, writing them into a path, and the cursors of the list."""

import re
from typing import Any, Final
from urllib.parse import quote

from pydantic import TypeAdapter

from dedup.core.entity import Entity
from dedup.core.keys import Id
from dedup.core.kinds import MAX_INT64

_LEAST: Final = -(2**63)
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII).fullmatch
_NO_SEGMENT: Final = re.compile(r"[~/\\]|^\.")
_ESCAPED: Final = re.compile(r"~(2E|2F|5C|7E)")
_FIRST_CHARACTER: Final = "\x01"


class Ids:
    """Reads the ids of an entity, and the cursors of its list, which are ids or the like."""

    def __init__(self, entity: Entity) -> None:
        self._field: Final = entity.fields[0]
        self.is_integer: Final = self._field.kind.name == "integer"
        limits = self._field.annotation.limits
        self._least: Final[int] = _LEAST if limits.ge is None else limits.ge
        self._most: Final[int] = MAX_INT64 if limits.le is None else limits.le
        self._lowest: Final = 0 if self._least >= 0 else _LEAST
        self.name: Final = entity.id
        self.first: Final[Id] = self._lowest if self.is_integer else ""
        """The cursor before all ids."""

        as_in_rows = self._field.marked(None)
        self._validate: Final = TypeAdapter[Any](as_in_rows.pydantic_type()).validate_python

    def read(self, text: str) -> Id | None:
        """Return the id of a text; None if it is none."""
        if self.is_integer and not _INTEGER(text):
            return None
        try:
            read: Id = self._field.normal(self._validate(int(text) if self.is_integer else text))
        except ValueError:  # pydantic's ValidationError is one
            return None
        return read

    def read_cursor(self, text: str) -> Id:
        """Return a cursor of the list: any text, or any integer that could be an id.

        Raises ValueError, which says what is expected.
        """
        if not self.is_integer:
            try:
                text.encode()
            except UnicodeEncodeError:
                raise ValueError(f"a {self.name} in UTF-8") from None
            return text
        if not _INTEGER(text) or not self._lowest <= int(text) <= MAX_INT64:
            start = "" if self._lowest == 0 else "from -2^63 "
            raise ValueError(f"a {self.name}: a number {start}up to 2^63-1")
        return int(text)

    def is_before_all(self, cursor: Id) -> bool:
        """Tell whether no id can be at or before a cursor."""
        return cursor < self._least if isinstance(cursor, int) else not cursor

    @property
    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of an id, with its bounds."""
        if self.is_integer:
            return {"type": "integer", "minimum": self._least, "maximum": self._most}
        if self._field.kind.name == "uuid":
            return {"type": "string", "format": "uuid"}
        limits = self._field.annotation.limits
        schema: dict[str, Any] = {"type": "string", "minLength": limits.min_length or 1}
        return schema if limits.max_length is None else {**schema, "maxLength": limits.max_length}

    @property
    def expected(self) -> str:
        """Return the sentence that says what an id is."""
        article = "An" if self.name[0] in "aeio" else "A"
        if self.is_integer:
            bounds = f"{_number(self._least)} to {_number(self._most)}"
            return f"{article} {self.name} is a number from {bounds}."
        if self._field.kind.name == "uuid":
            return f"{article} {self.name} is a UUID."
        limits = self._field.annotation.limits
        least, most = limits.min_length or 1, limits.max_length
        length = f"at least {least}" if most is None else f"{least} to {most}"
        return f"{article} {self.name} is a text of {length} characters."


def _number(value: int) -> str:
    """Return a number as people write it: the largest ones as powers of two."""
    return {MAX_INT64: "2^63-1", _LEAST: "-2^63"}.get(value, str(value))


def successor(cursor: Id) -> Id:
    """Return the cursor that excludes nothing up to this one: no id has the character NUL."""
    return cursor + 1 if isinstance(cursor, int) else cursor + _FIRST_CHARACTER


def segment(row_id: Id) -> str:
    r"""Return an id as a segment of a path.

    Browsers and proxies resolve `.` and `..` in a path, and proxies may decode `%2F`: such
    characters, and `~` itself, are `~` and two digits.
    """
    text = _NO_SEGMENT.sub(lambda found: f"~{ord(found[0]):02X}", str(row_id))
    return quote(text, safe="")


def from_segment(text: str) -> str:
    """Return the text of a decoded segment of a path."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
