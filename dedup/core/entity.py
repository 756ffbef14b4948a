"""What is deduplicated: an entity is a value that describes rows, events and record keys."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import BaseModel, RootModel

from dedup.core.annotations import EpochUnit, listed
from dedup.core.fields import EntityField, entity_field

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_ID_KINDS: Final = ("integer", "text", "uuid")

KeyForm = Literal["text", "json"]
"""Record keys: the id as text (`7`), or as JSON (`7`, `"AB-1"`, `{"order_id":"AB-1"}`)."""


@dataclass(frozen=True)
class Wrapped:
    """Events that carry the row in a member, beside a time of their own.

    `time` is an ISO 8601 text, or an integer since the epoch where `unit` names one. `creates` are
    the actions of which an event describes a whole new row, `deletes` those that delete it; any
    other may lack fields, which the known row then completes. `actions` are the known ones (empty:
    any is known). `carries` are members `old_<field>` that the row keeps as `last_old_<field>`.
    """

    payload: str
    time: str
    event_id: str | None = None
    action: str | None = None
    creates: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    carries: tuple[str, ...] = ()
    unit: EpochUnit | None = None


@dataclass(frozen=True)
class Flat:
    """Events that are the row; `time` is the field with the event's time. A null value deletes."""

    time: str


@dataclass(frozen=True)
class Debezium:
    """Change events of Debezium as JSON, with and without `schema` and `payload`."""


Envelope = Wrapped | Flat | Debezium


@dataclass(frozen=True)
class Entity:
    """What is deduplicated: a pydantic model of its row, its id, and how events carry it.

    Raises ValueError when built of what can't work, with the field and the reason.
    """

    name: str
    model: type[BaseModel]
    id: str
    envelope: Envelope
    metadata: tuple[str, ...] = ()
    key: KeyForm | None = None
    """None: as JSON for `Debezium`, as text for the others."""

    fields: tuple[EntityField, ...] = field(init=False, repr=False, compare=False)
    """The fields of a row: the id, then the others in the model's order."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the name {self.name!r} is not of small letters, digits and _")
        object.__setattr__(self, "fields", self._read_fields())
        self._check_id()
        self._check_metadata()
        self._check_envelope()
        taken = {each.name for each in self.fields} & set(self.provenance)
        if taken:
            raise ValueError(f"field {min(taken)}: the row has a field of this name already")

    @property
    def plural(self) -> str:
        """Return the word for several of them, which topics and pages are named after."""
        return f"{self.name}s"

    @property
    def key_form(self) -> KeyForm:
        """Return the form of the record keys."""
        return self.key or ("json" if isinstance(self.envelope, Debezium) else "text")

    @property
    def has_validators(self) -> bool:
        """Tell whether the model judges by code of its own, which sees whole rows only."""
        decorators = self.model.__pydantic_decorators__
        own = (
            decorators.field_validators,
            decorators.model_validators,
            decorators.validators,
            decorators.root_validators,
        )
        return any(own) or any(name.startswith("str_") for name in self.model.model_config)

    @property
    def content(self) -> tuple[str, ...]:
        """Return the fields whose change is a change: all but the id and the metadata."""
        return tuple(f.name for f in self.fields[1:] if f.name not in self.metadata)

    @property
    def provenance(self) -> tuple[str, ...]:
        """Return the fields of a row after those of the model: of the event it comes from."""
        envelope = self.envelope
        names = []
        if isinstance(envelope, Wrapped):
            names += ["last_event_id"] if envelope.event_id is not None else []
            names += ["last_action"] if envelope.action is not None else []
        elif isinstance(envelope, Debezium):
            names.append("last_action")
        names.append("last_event_timestamp")
        carried = envelope.carries if isinstance(envelope, Wrapped) else ()
        return (*names, *(f"last_{name}" for name in carried), "processing_time")

    def field(self, name: str) -> EntityField:
        """Return a field by its name. Raises KeyError when there is none."""
        return {each.name: each for each in self.fields}[name]

    def _read_fields(self) -> tuple[EntityField, ...]:
        infos = getattr(self.model, "model_fields", None)
        if not infos or issubclass(self.model, RootModel):
            raise ValueError("the model must be a subclass of pydantic.BaseModel with fields")
        if self.model.model_config.get("strict"):
            raise ValueError("a strict model is not supported: events carry decimals as text")
        if self.id not in infos:
            raise ValueError(f"id: {self.model.__name__} has no field {self.id!r}")
        if not infos[self.id].is_required():
            raise ValueError(f"field {self.id}: an id is always there and never null")
        names = [self.id, *(name for name in infos if name != self.id)]
        return tuple(entity_field(n, infos[n], is_id=n == self.id) for n in names)

    def _check_id(self) -> None:
        ours = self.fields[0]
        if ours.kind.name not in _ID_KINDS:
            raise ValueError(f"field {self.id}: an id is an integer, a text or a UUID")
        if ours.nullable:
            raise ValueError(f"field {self.id}: an id is always there and never null")

    def _check_metadata(self) -> None:
        names = {each.name for each in self.fields}
        for name in self.metadata:
            if name not in names:
                raise ValueError(f"metadata: {self.model.__name__} has no field {name!r}")
            if name == self.id:
                raise ValueError(f"metadata: {name} is the id")
        if not self.content:
            raise ValueError("no field is left as content: metadata names all of them")

    def _check_envelope(self) -> None:
        envelope = self.envelope
        names = [each.name for each in self.fields]
        if isinstance(envelope, Flat):
            if envelope.time not in names:
                raise ValueError(f"time: {self.model.__name__} has no field {envelope.time!r}")
            time = self.field(envelope.time)
            if time.kind.name != "time" or time.nullable or not time.required:
                raise ValueError(
                    f"field {time.name}: the event time must be a datetime that is always there, "
                    'such as datetime or Annotated[datetime, Epoch("ms")]'
                )
        elif isinstance(envelope, Wrapped):
            _check_wrapped(envelope, names)


def _check_wrapped(envelope: Wrapped, fields: list[str]) -> None:
    members = [envelope.payload, envelope.time, envelope.event_id, envelope.action]
    given = [*(each for each in members if each is not None), *envelope.carries]
    if len(set(given)) < len(given):
        raise ValueError(f"the envelope names a member twice: {listed(given)}")
    if envelope.action is None and (envelope.creates or envelope.deletes or envelope.actions):
        raise ValueError("the envelope names actions, but not the member that holds them: action")
    both = set(envelope.creates) & set(envelope.deletes)
    if both:
        raise ValueError(f"the action {min(both)!r} both creates and deletes")
    if envelope.actions and not {*envelope.creates, *envelope.deletes} <= {*envelope.actions}:
        raise ValueError("actions must name those of creates and deletes too")
    for name in envelope.carries:
        if not name.startswith("old_") or name.removeprefix("old_") not in fields:
            raise ValueError(f"carries: {name!r} is not old_ and the name of a field")


def content_fields(
    entity: Entity, chosen: Sequence[str] | None, *, keep_unknown: bool
) -> tuple[str, ...]:
    """Return the content fields in the one order used everywhere: the model's, then by name.

    None chooses all. Raises ValueError for none or for unknown ones, unless these are kept.
    """
    if chosen is None:
        return entity.content
    unknown = sorted(set(chosen) - set(entity.content))
    ours = {each.name for each in entity.fields} | set(entity.provenance)
    if not chosen or (unknown and not keep_unknown) or ours & set(unknown):
        raise ValueError(f"content fields are chosen from {', '.join(entity.content)}")
    return (*(name for name in entity.content if name in chosen), *unknown)
