"""Record keys: the id that a key names, and the key of a row."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec
from pydantic import TypeAdapter

from dedup.core.entity import Debezium, Entity, KeyForm, Wrapped
from dedup.core.kinds import MAX_INT64
from dedup.core.shapes import IN_ENTITY

Id = int | str
OutputForm = Literal["json", "plain"]

_INTEGER_KEY: Final = re.compile(rb"0|-?[1-9][0-9]{0,18}").fullmatch
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_BRACE: Final = b"{"
_ZERO: Final = ord("0")
_MAX_DIGITS: Final = 19
_FORMS: Final[Mapping[KeyForm, str]] = {"json": "JSON", "text": "text"}
_REGISTRY_HEADER: Final = 5


def _binary(row_id: int) -> tuple[bytes, ...]:
    """Return the forms in which Kafka's LongSerializer and IntegerSerializer write a number."""
    sizes = (size for size in (4, 8) if -(2 ** (8 * size - 1)) <= row_id < 2 ** (8 * size - 1))
    return tuple(row_id.to_bytes(size, "big", signed=True) for size in sizes)


def _writers(prefix: bytes, *, is_integer: bool) -> Mapping[OutputForm, Callable[[Any], bytes]]:
    """Return what writes the key of a row in each form; `prefix` begins one in JSON."""
    if is_integer:
        return {"plain": b"%d".__mod__, "json": (prefix.replace(b"%", b"%%") + b"%d}").__mod__}
    return {"plain": str.encode, "json": lambda row_id: prefix + _encode(row_id) + b"}"}


class Keys:
    """The keys of an entity's records, on its source topic and on the topic of its rows."""

    def __init__(self, entity: Entity) -> None:
        self._field: Final = entity.fields[0]
        self._name: Final = entity.id
        self._form: Final[KeyForm] = entity.key_form
        self._is_integer: Final = self._field.kind.name == "integer"
        self.text_of: Final[Callable[[Any], bytes] | None] = (
            None
            if self._form == "json" or self._field.kind.name == "uuid"
            else b"%d".__mod__
            if self._is_integer
            else str.encode
        )
        """Returns the one key of all events of an id; None: keys of several forms name it."""
        self._prefix: Final = _encode({entity.id: None})[: -len(b"null}")]
        self._prefix_bytes: Final = len(self._prefix)
        self._writers: Final = _writers(self._prefix, is_integer=self._is_integer)
        limits = self._field.annotation.limits
        self._least: Final = -(2**63) if limits.ge is None else limits.ge
        self._most: Final = MAX_INT64 if limits.le is None else limits.le
        self._needs_pydantic: Final = not self._is_integer or limits.opaque
        as_in_rows = self._field.marked(None)
        self._validate: Final = TypeAdapter[Any](as_in_rows.pydantic_type()).validate_python

    def names(self, key: bytes, row_id: Id) -> bool:
        """Tell whether the key of an event names this id."""
        if self.text_of is not None:
            return key == self.text_of(row_id)
        return self.read(key) == row_id

    def read(self, key: bytes) -> Id | None:
        """Read the id of an event's key; None when it is none."""
        return self.from_text(key) if self._form == "text" else self._of_json(key)

    def hint(self, key: bytes, row_id: Id | None) -> str:
        """Return the setting by which this key would name a row, after a space; or nothing.

        `row_id` is that of the row, where the event names one.
        """
        other: KeyForm = "json" if self._form == "text" else "text"
        found = self._of_json(key) if other == "json" else self.from_text(key)
        if found is not None and row_id in (None, found):
            return f' It is one as {_FORMS[other]}: set key="{other}" {IN_ENTITY}.'
        if isinstance(row_id, int) and key in _binary(row_id):
            return " It is that in binary: set the producer's key.serializer to one of text."
        if key.startswith(b"\x00") and len(key) > _REGISTRY_HEADER:
            return " It looks like Avro of a schema registry: change the producer's key.serializer."
        return ""

    def _of_json(self, key: bytes) -> Id | None:
        try:
            found = _decode(key)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return None
        if isinstance(found, dict) and found.keys() == {"schema", "payload"}:
            found = found["payload"]
        if isinstance(found, dict):
            found = found.get(self._name) if len(found) == 1 else None
        return self._valid(found)

    def of_events(self, row_id: Id) -> bytes | None:
        """Return the one key of all events of an id; None where keys of several forms name it."""
        return None if self.text_of is None else self.text_of(row_id)

    def write(self, row_id: Id, form: OutputForm) -> bytes:
        """Return the key of a row: Flink's upsert-kafka text with key.format=json, or the id."""
        return self._writers[form](row_id)

    def writer(self, form: OutputForm) -> Callable[[Id], bytes]:
        """Return what `write` does, for the keys of many rows."""
        return self._writers[form]

    def read_output(self, key: bytes | None) -> Id | None:
        """Read the id of a row's key in either form; None when it is none."""
        if not key:
            return None
        if not self._needs_pydantic and key.startswith(self._prefix) and key.endswith(b"}"):
            digits = key[self._prefix_bytes : -1]  # as `write` has them: no sign, no leading zero
            if digits.isdigit() and digits[0] != _ZERO and len(digits) <= _MAX_DIGITS:
                row_id = int(digits)
                return row_id if self._least <= row_id <= self._most else None
        if not self._is_integer and not key.startswith(_BRACE):
            return self.from_text(key)
        try:
            found = _decode(key)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return None if self._is_integer else self.from_text(key)
        if isinstance(found, dict):
            found = found.get(self._name)
        return self._valid(found)

    def from_text(self, key: bytes) -> Id | None:
        """Read an id from its text; None when it is none."""
        if self._is_integer:
            if not _INTEGER_KEY(key):
                return None
            row_id = int(key)
            if self._needs_pydantic:
                return self._valid(row_id)
            return row_id if self._least <= row_id <= self._most else None
        try:
            return self._valid(key.decode())
        except UnicodeDecodeError:
            return None

    def _valid(self, found: object) -> Id | None:
        if isinstance(found, bool) or not isinstance(found, int if self._is_integer else str):
            return None
        try:
            read: Id = self._field.normal(self._validate(found))
        except ValueError:  # pydantic's ValidationError is one
            return None
        return read if self._field.kind.name == "uuid" or read == found else None


def key_named_in(entity: Entity, event: bytes) -> bytes:
    """Return the record key that an event should have; empty when it names no id."""
    try:
        members = _decode(event)
        if isinstance(entity.envelope, Wrapped):
            members = members[entity.envelope.payload]
        elif isinstance(entity.envelope, Debezium):
            members = members["payload"] if members.keys() == {"schema", "payload"} else members
            members = members["after"] or members["before"]
        found = members[entity.id]
        if isinstance(found, bool) or not isinstance(found, int | str):
            return b""
        return _encode(found) if entity.key_form == "json" else str(found).encode()
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return b""
