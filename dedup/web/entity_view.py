"""How pages show an entity: its words, its addresses, and the columns of its rows."""

import json
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

from dedup.core.entity import Entity
from dedup.core.keys import Id
from dedup.core.kinds import Alignment
from dedup.core.printable import harmless
from dedup.web.entity_models import Wording, capitalised
from dedup.web.ids import Ids, segment

MANY_COLUMNS: Final = 9
"""A list with more columns scrolls sideways on a narrow screen; otherwise each row is a card."""

_TITLES: Final = ("name", "title")
_JOINERS: Final = "\u200c\u200d"
_RESERVED: Final = "/metrics"


class Column(NamedTuple):
    """A column of rows; `kind` is that of its field, `time` for the times of events."""

    name: str
    label: str
    kind: str
    align: Alignment = "left"


@lru_cache
def view_of(entity: Entity) -> "EntityView":
    """Return how pages show an entity."""
    return EntityView(entity)


class EntityView:
    """What pages and searches know of an entity beside its models."""

    def __init__(self, entity: Entity) -> None:
        self.entity: Final = entity
        self.id: Final = entity.id
        self.ids: Final = Ids(entity)
        self.wording: Final = Wording(entity)
        self.name: Final = self.wording.words["name"]
        self.names: Final = self.wording.words["names"]
        self.brand: Final = f"{entity.name.replace('_', '-')}-dedup"
        path = f"/{entity.plural}"
        self.path: Final = f"{path}-list" if path == _RESERVED else path

    def capitalised(self, text: str) -> str:
        """Return a text that begins with a capital letter."""
        return capitalised(text)

    def page(self, row_id: Id) -> str:
        """Return the path of the page of a row."""
        return f"{self.path}/{segment(row_id)}"

    def title(self, row_id: Id, row: dict[str, Any] | None) -> str:
        """Return the heading of the page of a row: its name, or its id."""
        if row and self.title_field is not None and row.get(self.title_field):
            return str(row[self.title_field])
        return f"{capitalised(self.name)} {shown_id(row_id)}"

    @cached_property
    def title_field(self) -> str | None:
        """The text field with the name of a row; None if no field is called so."""
        texts = {field.name for field in self.entity.fields if field.kind.name == "text"}
        wanted = [*(f"{self.entity.name}_{title}" for title in _TITLES), *_TITLES]
        return next((name for name in wanted if name in texts and name != self.id), None)

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """The fields that a search looks into: a text id, and the name of rows or all texts."""
        texts = [f.name for f in self.entity.fields if f.kind.name in ("text", "choice", "uuid")]
        wanted = texts if self.title_field is None else (self.id, self.title_field)
        return tuple(name for name in texts if name in wanted)

    @cached_property
    def search_label(self) -> str:
        """The label of the search."""
        names = [self.label(name) for name in self.searched]
        if not names:
            return "An id"
        if self.id in self.searched:
            return f"Part of the {' or '.join(filter(None, [', '.join(names[:-1]), names[-1]]))}"
        article = "an" if names[0][0] in "aeio" else "a"
        return f"Part of {article} {', '.join(names)}, or an id"

    @cached_property
    def search_description(self) -> str:
        """The description of the search in the API."""
        parts = [self.label(name) for name in self.searched]
        return f"Part of the {', '.join(parts)}, ignoring case, or the whole id."

    def label(self, name: str) -> str:
        """Return the label of a field: its name without that of the entity."""
        return name.removeprefix(f"{self.entity.name}_").replace("_", " ")

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a whole row: of the fields, then of the event it comes from."""
        fields = [
            Column(field.name, self.label(field.name), field.kind.name, field.kind.align)
            for field in self.entity.fields
        ]
        carried = {f"last_old_{field.name}": field.kind for field in self.entity.fields}
        provenance = []
        for name in self.entity.provenance:
            kind = carried.get(name)
            label = name.replace("_", " ")
            if kind is not None:
                provenance.append(Column(name, label, kind.name, kind.align))
            else:
                is_time = name in ("last_event_timestamp", "processing_time")
                provenance.append(Column(name, label, "time" if is_time else "text"))
        return (*fields, *provenance)

    @cached_property
    def id_align(self) -> Alignment:
        """The alignment of ids."""
        return self.entity.fields[0].kind.align

    @cached_property
    def names_events(self) -> bool:
        """Whether rows say which event they come from, beside its time."""
        return not {"last_event_id", "last_action"}.isdisjoint(self.entity.provenance)

    def column(self, name: str) -> Column:
        """Return a column by its name; that of a text for a field the entity does not name."""
        known = {column.name: column for column in self.columns}
        return known.get(name, Column(name, self.label(name), "json"))

    @cached_property
    def content(self) -> tuple[Column, ...]:
        """The columns of the content."""
        return tuple(self.column(name) for name in self.entity.content)

    @cached_property
    def listed(self) -> tuple[Column, ...]:
        """The columns of the list beside the id: the content, then the last change and its time."""
        content = [*self.content]
        if self.title_field is not None:
            content.sort(key=lambda column: column.name != self.title_field)
        changed = []
        if "last_action" in self.entity.provenance:
            changed.append(Column("last_action", "last change", "word"))
        changed.append(Column("last_event_timestamp", "at (UTC)", "time"))
        return (*content, *changed)

    @cached_property
    def is_wide(self) -> bool:
        """Whether the list has too many columns for cards."""
        return len(self.listed) >= MANY_COLUMNS

    def matches(self, row_id: Id, row: dict[str, Any], wanted: str) -> bool:
        """Tell whether a row has the searched text, in small letters, or is that of the id."""
        return wanted == str(row_id).casefold() or any(
            wanted in str(row.get(name) or "").casefold() for name in self.searched
        )


def shown_id(row_id: Id) -> str:
    """Return an id as people can see and tell it apart: invisible characters are escaped."""
    text = str(row_id)
    visible = text.strip() == text and text != ""
    if visible and all(c.isprintable() or c in _JOINERS for c in text):
        return text
    return json.dumps(text) if text.isprintable() else f'"{harmless(text)}"'
