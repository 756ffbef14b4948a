"""Events of Debezium's connectors as JSON, with their schema and without.

The row is in `after`, of a delete in `before`; the time is that of the source. Where an event
carries its schema, that says how times, dates and decimals are written; without one the marks of
the model do (`Epoch`, `EpochDays`, `DecimalBytes`). JSON fields always come as text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET
from pydantic import BaseModel, ValidationError

from dedup.core.annotations import JsonText
from dedup.core.connect_schema import fields_by_schema
from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.entity import Entity
from dedup.core.faults import description, invalid, refused
from dedup.core.fields import EntityField
from dedup.core.keys import Id
from dedup.core.normal_event import EventKind, NormalEvent, Recognised
from dedup.core.payload import PlainPayload, PydanticPayload
from dedup.core.shapes import foreign_shape
from dedup.core.times import from_microseconds, time_text, written_time

UNAVAILABLE: Final = "__debezium_unavailable_value"
"""What PostgreSQL's connector writes for a large value that an update did not change."""

_UNAVAILABLE_BYTES: Final = UNAVAILABLE.encode()
_WITH_SCHEMA: Final = b'{"schema":{'
_SCHEMAS_KEPT: Final = 64
_NOT_OF_A_ROW: Final = {
    "t": "The table was truncated (op t), which names no row. Delete the rows, or restore them.",
    "m": "This is a message of the database's log (op m), not a row.",
}


class _Source(msgspec.Struct, gc=False):
    ts_ms: int | None = None
    ts_us: int | None = None
    ts_ns: int | None = None


class _PydanticSource(BaseModel):
    ts_ms: int | None = None
    ts_us: int | None = None
    ts_ns: int | None = None


class _Enveloped(msgspec.Struct, gc=False):
    schema: msgspec.Raw
    payload: msgspec.Raw


_enveloped: Final = msgspec.json.Decoder(_Enveloped).decode


class DebeziumReader:
    """Reads change events of Debezium."""

    layout: None = None
    """How fields are written may change with every event's schema."""

    def __init__(self, entity: Entity, *, keep_unknown: bool) -> None:
        self._entity: Final = entity
        self._keep_unknown: Final = keep_unknown
        fields = [
            f.marked(f.annotation.limits.mark or JsonText()) if f.kind.name == "json" else f
            for f in entity.fields
        ]
        self._bare: Final = _Rows(entity, fields, keep_unknown=keep_unknown)
        self._by_schema: dict[bytes, _Rows] = {}

    def recognise(self, value: bytes) -> Recognised | None:
        """Return a whole row in normal form; None, or ValueError, for anything else."""
        if _UNAVAILABLE_BYTES in value:
            return None
        if not value.startswith(_WITH_SCHEMA):
            return self._bare.recognise(value)
        enveloped = _enveloped(value)
        rows = self._by_schema.get(bytes(enveloped.schema))
        return None if rows is None else rows.recognise(enveloped.payload)

    def read(self, document: object, key_id: Id | None) -> NormalEvent | DeadLetter:
        """Return the event in normal form, or its dead letter."""
        rows = self._bare
        event = document
        if isinstance(event, dict) and event.keys() == {"schema", "payload"}:
            try:
                rows = self._rows_of(event["schema"])
            except ValueError:  # a lone surrogate in it
                return invalid("schema: no schema of Kafka Connect")
            event = event["payload"]
        if event is None and key_id is not None:
            return rows.deleted(key_id, None, ("d", None))
        if not isinstance(event, dict) or not isinstance(event.get("op"), str):
            hint = foreign_shape(document, self._entity)
            return invalid("op: an event of Debezium has its operation here", hint)
        said_not = _NOT_OF_A_ROW.get(event["op"])
        if said_not is not None:
            return DeadLetter(Reason.UNKNOWN_ACTION, said_not)
        return rows.read(event, key_id)

    def without_key(self, value: bytes) -> DeadLetter | None:
        """Return what a truncation or a message is; these belong to no row and have no key."""
        try:
            document: Any = msgspec.json.decode(value)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return None
        if isinstance(document, dict) and document.keys() == {"schema", "payload"}:
            document = document["payload"]
        op = document.get("op") if isinstance(document, dict) else None
        said_not = _NOT_OF_A_ROW.get(op) if isinstance(op, str) else None
        return None if said_not is None else DeadLetter(Reason.UNKNOWN_ACTION, said_not)

    def _rows_of(self, schema: object) -> "_Rows":
        """Return the reader for a schema; those seen are kept, by the bytes Connect writes."""
        written = msgspec.json.encode(schema)
        rows = self._by_schema.get(written)
        if rows is None:
            fields = fields_by_schema(self._bare.fields, schema)
            rows = _Rows(self._entity, fields, keep_unknown=self._keep_unknown)
            if len(self._by_schema) >= _SCHEMAS_KEPT:
                self._by_schema.pop(next(iter(self._by_schema)))
            self._by_schema[written] = rows
        return rows


class _Rows:
    """Reads the rows of events whose fields are written in one way."""

    def __init__(
        self, entity: Entity, fields: Sequence[EntityField], *, keep_unknown: bool
    ) -> None:
        self.fields: Final = tuple(fields)
        self._entity: Final = entity
        self._payload: Final = PlainPayload(
            fields, lenient=True, defaults=True, more=entity.provenance
        )
        event = msgspec.defstruct(
            "Event",
            [("op", str), ("after", self._payload.type), ("source", _Source)],
            gc=False,
        )
        self._decode: Final = msgspec.json.Decoder(event).decode
        self._model: Final = PydanticPayload(
            entity, partial=True, keep_unknown=keep_unknown, fields=fields
        )

    def recognise(self, value: Any) -> Recognised | None:
        event: Any = self._decode(value)
        if event.op not in ("c", "u", "r"):
            return None
        time, row = _microseconds(event.source), event.after
        if time is None or not self._payload.normalise(row):
            return None
        row.last_action = event.op
        row.last_event_timestamp = written_time(from_microseconds(time))
        return row, time

    def read(self, event: Mapping[str, Any], key_id: Id | None) -> NormalEvent | DeadLetter:
        op = event["op"]
        if op not in ("c", "u", "r", "d"):
            return DeadLetter(
                Reason.UNKNOWN_ACTION, f"The op {op[:40]!r} is not one of c, u, r and d."
            )
        try:
            source = _PydanticSource.model_validate(event.get("source"))
            time = _microseconds(source)
            if time is None:
                return invalid("source: the time of the change is expected, as ts_ms")
            provenance = (op, time_text(from_microseconds(time)))
        except ValidationError as error:
            return invalid(description(error, "source"))
        except ValueError as error:
            return invalid(f"source: {error}")
        if op == "d":
            return self._delete(event, key_id, time, provenance)
        return self._upsert(event, time, provenance)

    def deleted(self, row_id: Id, time: int | None, provenance: Sequence[Any]) -> NormalEvent:
        """Return the delete of a row of which nothing is known but its id."""
        values = (row_id, *[UNSET] * (len(self.fields) - 1))
        return NormalEvent(row_id, EventKind.DELETE, time, provenance, values)

    def _delete(
        self, event: Mapping[str, Any], key_id: Id | None, time: int, provenance: Sequence[Any]
    ) -> NormalEvent | DeadLetter:
        before = event.get("before")
        if isinstance(before, dict) and self._entity.id in before:
            only_id = {self._entity.id: before[self._entity.id]}
            try:
                key_id = self._model.values(self._model.model.model_validate(only_id))[0]
            except ValidationError as error:
                return invalid(description(error, "before"))
        if key_id is None:
            return invalid(f"before: a delete names its {self._entity.id} here or in its key")
        return self.deleted(key_id, time, provenance)

    def _upsert(
        self, event: Mapping[str, Any], time: int, provenance: Sequence[Any]
    ) -> NormalEvent | DeadLetter:
        after = event.get("after")
        kept = after
        if isinstance(after, dict):
            kept = {name: v for name, v in after.items() if v != UNAVAILABLE}
        try:
            read = self._model.model.model_validate(kept)
        except ValidationError as error:
            return refused(error, event, self._entity, within="after")
        values = list(self._model.values(read))
        lacks = []
        for index, field in enumerate(self.fields):
            if values[index] is not UNSET:
                continue
            if isinstance(after, dict) and field.name in after:  # and so unavailable
                lacks += [field.name] if field.required else []
            elif field.required:
                return invalid(f"after.{field.name}: Field required")
            else:
                values[index] = field.default
        extra = self._model.unknown_fields(read, self._entity.provenance)
        if isinstance(extra, DeadLetter):
            return extra
        kind = EventKind.PARTIAL if UNSET in values else EventKind.UPSERT
        return NormalEvent(values[0], kind, time, provenance, tuple(values), tuple(lacks), extra)


def _microseconds(source: _Source | _PydanticSource) -> int | None:
    """Return the time of a change; newer connectors say it more finely."""
    if source.ts_ns is not None:
        return source.ts_ns // 1_000
    if source.ts_us is not None:
        return source.ts_us
    return None if source.ts_ms is None else source.ts_ms * 1_000
