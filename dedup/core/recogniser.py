"""The recogniser of a codec: in Python, and compiled where that was built, which does the same.

The compiled one is optional: an install without a C compiler lacks nothing but speed.
"""

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from dedup.core.entity import Entity
from dedup.core.envelopes import EventReader
from dedup.core.fields import EntityField
from dedup.core.keys import Id, Keys
from dedup.core.kinds import Form
from dedup.core.layout import Layout
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.core.payload import ABSENT, values_of
from dedup.core.rows import Rows
from dedup.core.strict_json import is_plain_text
from dedup.core.times import from_microseconds, time_text
from dedup.core.wire_forms import is_in_utc

try:
    from dedup.core import _recogniser
except ImportError:
    _compiled: Any = None
else:
    _compiled = _recogniser

IS_COMPILED: Final = _compiled is not None

Recognise = Callable[[bytes | None, bytes | None, str], tuple[Id, int, bytes, bytes] | None]
"""Takes key, value and processing time."""

_encode: Final = msgspec.json.Encoder().encode


def pure_recogniser(
    entity: Entity, content: Sequence[str], reader: EventReader, keys: Keys, rows: Rows
) -> Recognise:
    """Return `recognise` in Python: a closure, whose names are found faster than attributes."""
    recognise_value, names, written = reader.recognise, keys.names, rows.written
    content_of, id_of = values_of(content), attrgetter(entity.id)

    def recognise(
        key: bytes | None, value: bytes | None, processing_time: str
    ) -> tuple[Id, int, bytes, bytes] | None:
        if key is None or value is None:
            return None
        try:
            read = recognise_value(value) if is_plain_text(value) else None
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return None
        if read is None:
            return None
        row, time = read
        row_id = id_of(row)
        if not names(key, row_id):
            return None
        canonical = _encode(content_of(row))  # times of the content as they are
        row.processing_time = processing_time
        return row_id, time, canonical, written(row)

    return recognise


def delete_recogniser(entity: Entity, layout: Layout) -> Callable[[bytes], NormalEvent | None]:
    """Return the function to a delete that names its whole row in normal form; None: it is none."""
    decode = msgspec.json.Decoder(layout.type).decode
    fields, old = layout.fields, layout.carried
    named = [name for name in (layout.event_id, layout.action) if name is not None]
    head_of, values_of_row = values_of(named), values_of([field.name for field in entity.fields])
    old_of = values_of([] if old is None else [field.name for field, _ in old.forms])

    def recognise(value: bytes) -> NormalEvent | None:
        try:
            event = decode(value) if is_plain_text(value) else None
            if event is None or event.action not in layout.deletes:
                return None
            row, time = event.payload, layout.read_time(event.time)
            normal = fields.normalise(row) and (old is None or old.normalise(event))
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return None
        if time is None or not normal:
            return None
        provenance = (*head_of(event), time_text(from_microseconds(time[0])), *old_of(event))
        values = values_of_row(row)
        return NormalEvent(values[0], EventKind.DELETE, time[0], provenance, values)

    return recognise


def compiled_recogniser(
    entity: Entity, content: Collection[str], layout: Layout, keys: Keys, pure: Recognise
) -> Recognise:
    """Return the compiled form of `pure`, which gets what is too large for it."""
    columns = [
        _column(field, form, field.name, is_content=field.name in content)
        for field, form in layout.fields.forms
    ]
    columns[0] = _column(*layout.fields.forms[0], entity.id, begin=b"{")
    members: tuple[str, ...] = layout.type.__struct_fields__
    old = () if layout.carried is None else layout.carried.forms
    carried = [(_column(f, form, f"last_{f.name}"), members.index(f.name)) for f, form in old]
    named = ("last_event_id", "last_action", "last_event_timestamp", "processing_time")
    recogniser = _compiled.Recogniser(
        pure,
        msgspec.json.Decoder(layout.type).decode,
        tuple(columns),
        tuple(carried),
        [_label(name) for name in named],
        [
            -1 if name is None else members.index(name)
            for name in (layout.payload, layout.time, layout.event_id, layout.action)
        ],
        layout.read_time,
        layout.time_is_text,
        keys.names,
        keys.text_of is not None,
        layout.deletes,
        layout.known,
    )
    recognise: Recognise = recogniser.recognise
    return recognise


def _column(
    field: EntityField, form: Form, name: str, *, is_content: bool = False, begin: bytes = b","
) -> Any:
    # Times are tested in C.
    test = None if form.plain is is_in_utc else form.plain
    label = _label(name, begin)
    return _compiled.Column(
        label, test, form.convert, ABSENT, field.default, form.digits, is_content
    )


def _label(name: str, begin: bytes = b",") -> bytes:
    return begin + _encode(name) + b":"
