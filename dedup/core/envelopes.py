"""Envelopes: where an event has its row, its time and its action.

Each reader has two ways that agree: by its layout, or by `recognise`, msgspec takes whole rows in
normal form; `read` takes everything, by pydantic, and alone refuses and says why.
"""

from collections.abc import Callable
from typing import Final, Protocol

from pydantic import ValidationError

from dedup.core.dead_letter import DeadLetter
from dedup.core.entity import Entity, Flat
from dedup.core.faults import refused
from dedup.core.keys import Id
from dedup.core.layout import Layout
from dedup.core.normal_event import EventKind, NormalEvent, Recognised
from dedup.core.payload import PlainPayload, PydanticPayload, completed
from dedup.core.times import microseconds, time_text, written_time


class EventReader(Protocol):
    """Reads the values of records. Of their keys it gets the id, for deletes that name none."""

    @property
    def layout(self) -> Layout | None:
        """Return where events have what, by which they are recognised; None: by `recognise`."""

    @property
    def recognise(self) -> Callable[[bytes], Recognised | None] | None:
        """Return the function to a whole row in normal form; None, or ValueError, for others."""

    def read(self, document: object, key_id: Id | None) -> NormalEvent | DeadLetter:
        """Return the event in normal form, or its dead letter."""

    def without_key(self, value: bytes) -> DeadLetter | None:
        """Return what an event without a key is, where the envelope has such events."""


class FlatReader:
    """Reads events that are rows."""

    recognise: None = None

    def __init__(self, entity: Entity, envelope: Flat, *, keep_unknown: bool) -> None:
        self._entity: Final = entity
        self._payload: Final = PlainPayload(
            entity.fields, lenient=True, defaults=True, more=entity.provenance
        )
        self._model: Final = PydanticPayload(entity, partial=False, keep_unknown=keep_unknown)
        self._time: Final = [field.name for field in entity.fields].index(envelope.time)
        self.layout: Final = Layout(
            type=self._payload.type,
            fields=self._payload,
            payload=None,
            time=envelope.time,
            time_is_text=False,
            read_time=lambda time: (microseconds(time), written_time(time)),
        )

    def read(self, document: object, key_id: Id | None) -> NormalEvent | DeadLetter:  # noqa: ARG002 - as the others
        """Return the event in normal form, or its dead letter."""
        try:
            read = self._model.model.model_validate(document)
        except ValidationError as error:
            return refused(error, document, self._entity)
        extra = self._model.unknown_fields(read, self._entity.provenance)
        if isinstance(extra, DeadLetter):
            return extra
        values = completed(self._entity.fields, self._model.values(read), None)
        time = values[self._time]
        return NormalEvent(
            id=values[0],
            kind=EventKind.UPSERT,
            time=microseconds(time),
            provenance=(time_text(time),),
            values=values,
            extra=extra,
        )

    def without_key(self, value: bytes) -> DeadLetter | None:  # noqa: ARG002 - as the others
        """Return None: every row has a key."""
        return None
