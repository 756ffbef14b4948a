"""Events that carry their row in a member, beside a time, and perhaps an id and an action."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
)

from dedup.core.annotations import EpochUnit, listed
from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.entity import Entity, Wrapped
from dedup.core.faults import invalid, refused
from dedup.core.fields import carried_field
from dedup.core.keys import Id
from dedup.core.layout import Layout
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.core.payload import PlainPayload, PydanticPayload, completed
from dedup.core.times import (
    from_microseconds,
    in_utc,
    microseconds,
    plain_time,
    read_plain_instant,
    time_text,
    written_time,
)
from dedup.core.wire_forms import epoch_microseconds, time_since_epoch

PlainText = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
_LONGEST_SHOWN: Final = 40


class WrappedReader:
    """Reads events that carry the row in a member."""

    recognise: None = None

    def __init__(
        self, entity: Entity, envelope: Wrapped, *, keep_unknown: bool, refuse_unknown: bool
    ) -> None:
        self._entity: Final = entity
        self._envelope: Final = envelope
        self._known: Final = frozenset(envelope.actions if refuse_unknown else ())
        self._deletes: Final = frozenset(envelope.deletes)
        self._creates: Final = frozenset(envelope.creates)
        self._has_event_id: Final = envelope.event_id is not None
        self._has_action: Final = envelope.action is not None
        self._payload: Final = PlainPayload(entity.fields, more=entity.provenance)
        old = [
            carried_field(entity.field(name.removeprefix("old_")), name)
            for name in envelope.carries
        ]
        self._old: Final = PlainPayload(old, defaults=True)
        self._carried: Final = old
        self._model: Final = PydanticPayload(entity, partial=True, keep_unknown=keep_unknown)
        self._event_model: Final = self._pydantic_type()
        self.layout: Final = Layout(
            type=self._plain_type(),
            fields=self._payload,
            payload="payload",
            time="time",
            time_is_text=envelope.unit is None,
            read_time=_time_reader(envelope.unit),
            event_id="event_id" if self._has_event_id else None,
            action="action" if self._has_action else None,
            carried=self._old,
            deletes=self._deletes,
            known=self._known,
        )

    def _plain_type(self) -> Any:
        """Return msgspec's type: what is carried, time, payload, event id and action."""
        envelope = self._envelope
        time = str if envelope.unit is None else int
        members: list[Any] = [("time", time), ("payload", self._payload.type)]
        rename = {"time": envelope.time, "payload": envelope.payload}
        if envelope.event_id is not None:
            members.append(("event_id", str))
            rename["event_id"] = envelope.event_id
        if envelope.action is not None:
            members.append(("action", str))
            rename["action"] = envelope.action
        bases = (self._old.type,)
        return msgspec.defstruct(
            "Event", members, bases=bases, gc=False, kw_only=True, rename=rename
        )

    def _pydantic_type(self) -> type[BaseModel]:
        """Return pydantic's type; errors name the members as the event does."""
        envelope = self._envelope
        before: Callable[[object], object] = (
            plain_time if envelope.unit is None else time_since_epoch(envelope.unit)
        )
        time = Annotated[datetime, BeforeValidator(before), AfterValidator(in_utc)]
        members: dict[str, Any] = {}
        for attribute, name, type_ in (
            ("event_id", envelope.event_id, PlainText),
            ("action", envelope.action, PlainText),
            ("time", envelope.time, time),
            ("payload", envelope.payload, self._model.model),
        ):
            if name is not None:
                members[attribute] = (type_, Field(alias=name))
        for field in self._carried:
            members[field.name] = (field.pydantic_type(), None)
        return create_model(f"Partial{self._entity.model.__name__}Event", **members)

    def read(self, document: object, key_id: Id | None) -> NormalEvent | DeadLetter:  # noqa: ARG002 - as the others
        """Return the event in normal form, or its dead letter."""
        envelope = self._envelope
        try:
            event: Any = self._event_model.model_validate(document)
        except ValidationError as error:
            return refused(error, document, self._entity)
        action = event.action if self._has_action else None
        values = self._model.values(event.payload)
        lacks = self._lacking(values)
        if action in self._creates and lacks:
            return invalid(f"{envelope.payload}: a {action} event lacks {listed(lacks)}.")
        extra = self._model.unknown_fields(event.payload, self._entity.provenance)
        if isinstance(extra, DeadLetter):
            return extra
        return self._event(event, action, values, lacks, extra)

    def without_key(self, value: bytes) -> DeadLetter | None:  # noqa: ARG002 - as the others
        """Return None: every row has a key."""
        return None

    def _event(
        self,
        event: Any,
        action: str | None,
        values: tuple[Any, ...],
        lacks: tuple[str, ...],
        extra: dict[str, msgspec.Raw],
    ) -> NormalEvent:
        kind = EventKind.PARTIAL if UNSET in values else EventKind.UPSERT
        if action in self._deletes:
            kind = EventKind.DELETE
        elif action in self._creates:
            values = completed(self._entity.fields, values, None)
            kind = EventKind.UPSERT
        head = [event.event_id] if self._has_event_id else []
        head += [action] if self._has_action else []
        old = [field.normal(getattr(event, field.name)) for field in self._carried]
        provenance = (*head, time_text(event.time), *old)
        us = microseconds(event.time)
        return NormalEvent(
            values[0], kind, us, provenance, values, lacks, extra, self._refusal(action)
        )

    def _refusal(self, action: str | None) -> DeadLetter | None:
        if not self._envelope.actions or action in self._envelope.actions:
            return None
        known = ", ".join(self._envelope.actions)
        shown = str(action)[:_LONGEST_SHOWN]
        return DeadLetter(Reason.UNKNOWN_ACTION, f"The action {shown!r} is not one of {known}.")

    def _lacking(self, values: tuple[Any, ...]) -> tuple[str, ...]:
        fields = zip(self._entity.fields, values, strict=True)
        return tuple(field.name for field, v in fields if field.required and v is UNSET)


def _time_reader(unit: EpochUnit | None) -> Callable[[Any], tuple[int, Any] | None]:
    """Return the function to the microseconds of an event's time, and what a row has of it."""
    if unit is None:
        return read_plain_instant

    def read(value: int) -> tuple[int, Any]:
        us = epoch_microseconds(value, unit)
        return us, written_time(from_microseconds(us))

    return read
