"""The codec of an entity: records to what they say, and what is known to rows and fingerprints.

Built once, when the worker starts. `recognise` is the fast path: it takes whole rows in normal
form, and returns None for everything else. `read` takes any record, by pydantic, which alone
refuses and says why. Property tests hold the two together.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final, Literal

import msgspec

from dedup.core.annotations import listed
from dedup.core.dead_letter import AnyHeader, DeadLetter, Reason
from dedup.core.debezium import DebeziumReader
from dedup.core.encodings import foreign_encoding
from dedup.core.entity import Debezium, Entity, Flat, content_fields
from dedup.core.envelopes import EventReader, FlatReader
from dedup.core.faults import with_hint
from dedup.core.fingerprint import fingerprint_of, scheme_prefix
from dedup.core.keys import Keys
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.core.payload import completed
from dedup.core.recogniser import (
    IS_COMPILED,
    Recognise,
    compiled_recogniser,
    delete_recogniser,
    pure_recogniser,
)
from dedup.core.records import rebuilt_state
from dedup.core.rows import Row, Rows, Unknown, row_event_id, row_fields
from dedup.core.state import State
from dedup.core.strict_json import read_json
from dedup.core.times import time_text
from dedup.core.validators import validated
from dedup.core.wrapped import WrappedReader

UnknownFields = Literal["drop", "pass"]
UnknownActions = Literal["update", "dead_letter"]

Shown = str | int | None

_encode: Final = msgspec.json.Encoder().encode
_LONGEST_SHOWN: Final = 40


class Whole(msgspec.Struct, frozen=True, gc=False):
    """A whole row after an event: every value, and the content in canonical form."""

    values: tuple[Any, ...]
    extra: dict[str, msgspec.Raw]
    canonical: bytes


class Codec:
    """Reads the events of an entity, and writes and reads its rows.

    `content` chooses the content fields, in any order; an unknown or empty choice is a ValueError.
    With `unknown_fields="pass"` rows keep the fields that the model does not name, and these may be
    content; every event is then read by pydantic.
    """

    def __init__(
        self,
        entity: Entity,
        content: Sequence[str] | None = None,
        unknown_fields: UnknownFields = "drop",
        unknown_actions: UnknownActions = "update",
        *,
        compiled: bool = True,
    ) -> None:
        keep = unknown_fields == "pass"
        self.entity: Final = entity
        self.unknown_fields: Final[UnknownFields] = unknown_fields
        self.unknown_actions: Final[UnknownActions] = unknown_actions
        self.content: Final = content_fields(entity, content, keep_unknown=keep)
        self.prefix: Final = scheme_prefix(self.content)
        self.keys: Final = Keys(entity)
        self._rows: Final = Rows(entity, keep_unknown=keep)
        self._reader: Final = _reader(
            entity, keep_unknown=keep, refuse_unknown=unknown_actions == "dead_letter"
        )
        self.is_fast: Final = not keep and not entity.has_validators
        names = [field.name for field in entity.fields]
        self._unknown_content: Final = [name for name in self.content if name not in names]
        known = [names.index(name) for name in self.content if name in names]
        self._values_of: Final = _several(known)
        use_compiled = compiled and IS_COMPILED and self._reader.layout is not None
        self.recogniser: Final[Literal["compiled", "pure"]] = "compiled" if use_compiled else "pure"
        layout = self._reader.layout
        self._recognised_delete: Final[Callable[[bytes], NormalEvent | None]] = (
            delete_recogniser(entity, layout)
            if self.is_fast and layout is not None and layout.deletes
            else lambda _value: None
        )
        self.recognise: Final[Recognise] = self._recogniser()
        """Returns id, event time, canonical content and row of an event that needs no judging."""

    def _recogniser(self) -> Recognise:
        if not self.is_fast:
            return lambda _key, _value, _processing_time: None
        reader, layout = self._reader, self._reader.layout
        pure = pure_recogniser(self.entity, self.content, reader, self.keys, self._rows)
        if layout is None or self.recogniser == "pure":
            return pure
        return compiled_recogniser(self.entity, self.content, layout, self.keys, pure)

    def read(self, key: bytes | None, value: bytes | None) -> NormalEvent | DeadLetter:
        """Read one record. Total: bad input is a value, never an exception.

        A null value with a key of the entity is a delete. It carries no event time of its own. An
        event with an unknown action is read: `refused` tells whether it is a dead letter.
        """
        name = self.entity.id
        if key is None:
            return (value and self._reader.without_key(value)) or DeadLetter(
                Reason.KEY_MISSING, f"The record has no key; the {name} is expected."
            )
        if value is None:
            return self._read_null_value(key)
        event = self._recognised_delete(value) or self._read_by_pydantic(key, value)
        if isinstance(event, DeadLetter):
            return event
        if not self.keys.names(key, event.id):
            return DeadLetter(
                Reason.KEY_MISMATCH,
                f"The record's key is {_shown(key)}, but its {name} is {event.id}."
                f"{self.keys.hint(key, event.id)}",
            )
        return event

    def _read_by_pydantic(self, key: bytes, value: bytes) -> NormalEvent | DeadLetter:
        try:
            document = read_json(value)
        except ValueError as error:
            said = f"The value is not JSON in UTF-8: {error}"
            return DeadLetter(Reason.INVALID_JSON, with_hint(said, foreign_encoding(value)))
        return self._reader.read(document, self.keys.read(key))

    def refused(self, event: NormalEvent) -> DeadLetter | None:
        """Return the dead letter of an event that was read, if its action is refused."""
        return event.refusal if self.unknown_actions == "dead_letter" else None

    def whole(self, event: NormalEvent, known_row: bytes | None) -> Whole | DeadLetter:
        """Complete an event: over the known row, or over the defaults without one.

        An event that describes a whole row has nothing to be completed.
        """
        values, extra = event.values, event.extra
        if event.kind is EventKind.PARTIAL:
            known = None if known_row is None else self.read_row(known_row)
            if known is None and event.lacks:
                return self.partial_without_state(event)
            values = completed(self.entity.fields, values, None if known is None else known.values)
            extra = extra if known is None else {**known.extra, **extra}
        if self.entity.has_validators:
            validated_values = validated(self.entity, values)
            if isinstance(validated_values, DeadLetter):
                return validated_values
            values = validated_values
        return Whole(values, extra, self.canonical(values, extra))

    def partial_without_state(self, event: NormalEvent) -> DeadLetter:
        """Return the dead letter of an event that lacks fields which nothing can complete."""
        return DeadLetter(
            Reason.PARTIAL_WITHOUT_STATE,
            f"The event lacks {listed(event.lacks)}, and no state of {self.entity.name} "
            f"{event.id} is known to complete it from.",
        )

    def canonical(self, values: Sequence[Any], extra: Unknown) -> bytes:
        """Return the content fields as one compact JSON array."""
        content = self._values_of(values)
        if self._unknown_content:
            content = (*content, *(extra.get(name) for name in self._unknown_content))
        return _encode(content)

    def shown(self, values: Sequence[Any], extra: Unknown) -> dict[str, Shown]:
        """Return values in normal form by the names of their fields, JSON and times as text."""
        named = {f.name: v for f, v in zip(self.entity.fields, values, strict=True)}
        return {name: _shown_value(value) for name, value in {**named, **extra}.items()}

    def fingerprint(self, canonical: bytes) -> bytes:
        """Return the fingerprint of content in canonical form."""
        return fingerprint_of(self.prefix, canonical)

    def row(self, event: NormalEvent, whole: Whole, processing_time: str) -> bytes:
        """Return the row after an event."""
        return self._rows.write(whole.values, event.provenance, processing_time, whole.extra)

    def read_row(self, row: bytes) -> Row | None:
        """Read a row in any accepted form; None when it is none of this entity."""
        return self._rows.read(row)

    def readable_row(self, row: bytes) -> dict[str, Any] | None:
        """Return the fields of a row as they stand there; None when it is none of this entity.

        Of fields that are not ours, those with a plain value are returned.
        """
        fields = row_fields(row)
        if not fields or self.read_row(row) is None:
            return None
        ours = {field.name for field in self.entity.fields}
        return {
            name: value
            for name, value in fields.items()
            if name in ours or not isinstance(value, (dict, list))
        }

    def state_from_record(
        self, value: bytes | None, headers: Collection[AnyHeader], timestamp_ms: int
    ) -> State | None:
        """Rebuild a state from a record of the output topic; None when the row can't be read."""
        return rebuilt_state(value, headers, timestamp_ms, self._row_facts)

    def _row_facts(self, row: bytes) -> tuple[bytes, int | None] | None:
        read = self.read_row(row)
        if read is None:
            return None
        return self.fingerprint(self.canonical(read.values, read.extra)), read.time

    def row_fingerprint(self, row: bytes) -> bytes | None:
        """Compute the fingerprint of a row in the scheme of this codec; None when unreadable."""
        facts = self._row_facts(row)
        return None if facts is None else facts[0]

    def recomputed(self, state: State) -> bytes | None:
        """Return the fingerprint of a state's row in the scheme of this codec.

        None where the state's own is in it already, and where there is no row or it is unreadable.
        """
        if state.row is None or state.fingerprint.startswith(self.prefix):
            return None
        return self.row_fingerprint(state.row)

    def last_event(self, row: bytes) -> tuple[str | None, int | None]:
        """Return the id and the time of the event that a row names as its last."""
        read = self.read_row(row)
        return row_event_id(row), None if read is None else read.time

    def event_id(self, event: NormalEvent) -> str | None:
        """Return the id of an event, where its envelope has one."""
        return self._provenance(event, "last_event_id")

    def action(self, event: NormalEvent) -> str | None:
        """Return the action of an event; None where its envelope has none."""
        return self._provenance(event, "last_action")

    def _provenance(self, event: NormalEvent, name: str) -> str | None:
        names = self.entity.provenance
        if name not in names or not event.provenance:
            return None
        found: str | None = event.provenance[names.index(name)]
        return found

    def _read_null_value(self, key: bytes) -> NormalEvent | DeadLetter:
        row_id = self.keys.read(key)
        if row_id is None:
            return DeadLetter(
                Reason.KEY_MISMATCH,
                f"The value is null and the key {_shown(key)} is no {self.entity.id}."
                f"{self.keys.hint(key, None)}",
            )
        unset = (msgspec.UNSET,) * (len(self.entity.fields) - 1)
        return NormalEvent(row_id, EventKind.DELETE, None, (), (row_id, *unset))


def _shown_value(value: Any) -> Shown:
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    shown: Shown = time_text(value) if isinstance(value, datetime) else value
    return shown


def _shown(key: bytes) -> str:
    return repr(key[:_LONGEST_SHOWN].decode("utf-8", "backslashreplace"))


def _reader(entity: Entity, *, keep_unknown: bool, refuse_unknown: bool) -> EventReader:
    envelope = entity.envelope
    if isinstance(envelope, Flat):
        return FlatReader(entity, envelope, keep_unknown=keep_unknown)
    if isinstance(envelope, Debezium):
        return DebeziumReader(entity, keep_unknown=keep_unknown)
    return WrappedReader(entity, envelope, keep_unknown=keep_unknown, refuse_unknown=refuse_unknown)


def _several(indexes: Sequence[int]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return the function to the values at these indexes, as a tuple however many they are."""
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda values: tuple(values[index] for index in indexes)
