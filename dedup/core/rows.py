"""Rows of an entity: values to the bytes of a row, and back."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from pydantic import AfterValidator, BeforeValidator

from dedup.core.dead_letter import DeadLetter
from dedup.core.entity import Entity, Wrapped
from dedup.core.fields import carried_field
from dedup.core.payload import PlainPayload, PydanticPayload, completed, values_of
from dedup.core.strict_json import is_plain_text, read_json
from dedup.core.times import in_utc, microseconds, plain_time, read_plain_instant, written_time

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode

Unknown = Mapping[str, msgspec.Raw]
"""Fields that the model does not name, as canonical JSON."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """What a row says: the values of the entity's fields, and the time of its last event."""

    values: tuple[Any, ...]
    extra: dict[str, msgspec.Raw]
    time: int | None


class Rows:
    """Writes and reads the rows of an entity."""

    def __init__(self, entity: Entity, *, keep_unknown: bool) -> None:
        self._entity: Final = entity
        self._keep_unknown: Final = keep_unknown
        fields = [field.marked(None) for field in entity.fields]
        envelope = entity.envelope
        carries = envelope.carries if isinstance(envelope, Wrapped) else ()
        old = [
            carried_field(entity.field(name.removeprefix("old_")).marked(None), f"last_{name}")
            for name in carries
        ]
        self.written: Final = _writer([f.name for f in fields if f.kind.name == "time"])
        """Returns a struct with the members of a row as JSON. It is changed: no other use of it."""
        self._values_of: Final = values_of([field.name for field in fields])
        self._type: Final = _row_type(entity)
        self._plain: Final = PlainPayload([*fields, *old])
        self._decode: Final = msgspec.json.Decoder(_plain_type(self._plain.type)).decode
        time = Annotated[datetime, BeforeValidator(plain_time), AfterValidator(in_utc)] | None
        more: dict[str, Any] = {field.name: (field.pydantic_type(), None) for field in old}
        self._model: Final = PydanticPayload(
            entity,
            fields=fields,
            partial=False,
            keep_unknown=keep_unknown,
            null_is_default=True,
            more={"last_event_timestamp": (time, None), **more},
        )

    def write(
        self,
        values: Sequence[Any],
        provenance: Sequence[Any],
        processing_time: str,
        extra: Unknown | None,
    ) -> bytes:
        """Return a row."""
        row = self.written(self._type(*values, *provenance, processing_time))
        if not extra:
            return row
        return b"%b,%b" % (row[:-1], _encode(extra)[1:])

    def read(self, row: bytes) -> Row | None:
        """Read a row in any accepted form; None when it is none of this entity."""
        return self._read_plain(row) or self._read_any(row)

    def _read_plain(self, row: bytes) -> Row | None:
        """Read a row as this project writes it; None when it is not in that form."""
        if self._keep_unknown:
            return None
        try:
            if not is_plain_text(row):
                return None
            plain = self._decode(row)
            is_plain = self._plain.normalise(plain)
            last = plain.last_event_timestamp
            time = None if last is None else read_plain_instant(last)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return None
        if not is_plain or (last is not None and (time is None or time[1] != last)):
            return None
        return Row(self._values_of(plain), {}, None if time is None else time[0])

    def _read_any(self, row: bytes) -> Row | None:
        """Read a row as anyone may have written it."""
        try:
            read: Any = self._model.model.model_validate(read_json(row))
        except ValueError:  # pydantic's ValidationError is one
            return None
        values = completed(self._entity.fields, self._model.values(read), None)
        extra = self._model.unknown_fields(read, self._entity.provenance)
        if isinstance(extra, DeadLetter):
            return None
        last = read.last_event_timestamp
        return Row(values, extra, None if last is None else microseconds(last))


def _row_type(entity: Entity) -> Callable[..., Any]:
    """Return the type whose members are those of a row, in order."""
    names = [*(field.name for field in entity.fields), *entity.provenance]
    return msgspec.defstruct("Row", [(name, Any) for name in names], gc=False)


def _writer(times: Sequence[str]) -> Callable[[Any], bytes]:
    times_of = values_of(times)

    def written(row: Any) -> bytes:
        for time in times_of(row):
            if time is not None and not time.microsecond:
                for name in times:
                    kept = getattr(row, name)
                    setattr(row, name, None if kept is None else written_time(kept))
                break
        return _encode(row)

    return written


def _plain_type(fields: Any) -> Any:
    time: Any = ("last_event_timestamp", str | None)
    return msgspec.defstruct("PlainRow", [time], bases=(fields,), gc=False, kw_only=True)


def row_fields(row: bytes) -> dict[str, Any]:
    """Return the fields of a row; none when another program wrote what is not a JSON object."""
    try:
        document = _decode(row)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return {}
    return document if isinstance(document, dict) else {}


def row_event_id(row: bytes) -> str | None:
    """Return the id of the event that a row names as its last; None when it names none."""
    found = row_fields(row).get("last_event_id")
    return found if isinstance(found, str) else None
