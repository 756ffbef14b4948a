"""The recogniser of a codec: in Python, and compiled where that was built, which does the same.

The compiled one is optional: an install without a C compiler lacks nothing but speed.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC
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
from dedup.core.payload import ABSENT, PlainPayload, values_of
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
    if reader.layout is not None:
        return _of_layout(entity, content, reader.layout, keys, rows)
    recognise_value, names, written = reader.recognise, keys.names, rows.written
    if recognise_value is None:
        raise AssertionError(reader)
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


def _of_layout(  # noqa: C901 - with its closure, as below
    entity: Entity, content: Sequence[str], layout: Layout, keys: Keys, rows: Rows
) -> Recognise:
    """Return `recognise` of an envelope with a layout, in one function.

    A call costs as much as what it does here: the parts of a payload's `normalise` stand in it.
    """
    decode = msgspec.json.Decoder(layout.type).decode
    times_of, tests, converters = layout.fields.parts
    is_row, has_event_id = layout.payload is None, layout.event_id is not None
    has_action, deletes, known = layout.action is not None, layout.deletes, layout.known
    read_time, time_of = layout.read_time, attrgetter(layout.time)
    carry = None if layout.carried is None else _carrier(layout.carried)
    converts_times = any(f.kind.name == "time" and form.convert for f, form in layout.fields.forms)
    names, text_of, written = keys.names, keys.text_of, rows.written
    content_of, id_of = values_of(content), attrgetter(entity.id)

    def recognise(  # noqa: C901, PLR0911, PLR0912 - a branch for each part an entity may have
        key: bytes | None, value: bytes | None, processing_time: str
    ) -> tuple[Id, int, bytes, bytes] | None:
        if key is None or value is None:
            return None
        try:
            if not is_plain_text(value):
                return None
            event = decode(value)
            row = event if is_row else event.payload
            has_whole_second = converts_times
            for time in times_of(row):
                if time is not None:
                    if time.tzinfo is not UTC:
                        return None
                    has_whole_second = has_whole_second or not time.microsecond
            for is_plain, tested_of in tests:
                for tested in tested_of(row):
                    if tested is not None and not is_plain(tested):
                        return None
            for name, convert, default in converters:
                read = getattr(row, name)
                setattr(row, name, default if read is ABSENT else convert(read))
            row_id = id_of(row)
            if key != text_of(row_id) if text_of is not None else not names(key, row_id):
                return None
            if has_action:
                action = row.last_action = event.action
                if action in deletes or (known and action not in known):
                    return None
            if has_event_id:
                row.last_event_id = event.event_id
            if carry is not None and not carry(event, row):
                return None
            instant = read_time(time_of(event))
            if instant is None:
                return None
            us, row.last_event_timestamp = instant
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return None
        canonical = _encode(content_of(row))  # times of the content as they are
        row.processing_time = processing_time
        return row_id, us, canonical, written(row) if has_whole_second else _encode(row)

    return recognise


def _carrier(payload: PlainPayload) -> Callable[[Any, Any], bool]:
    """Return the function that carries values of an event into its row; false: one is not plain."""
    carried = [(f.name, f"last_{f.name}", form.plain, form.convert) for f, form in payload.forms]

    def carry(event: Any, row: Any) -> bool:
        for name, last_name, is_plain, convert in carried:
            value = getattr(event, name)
            if value is not None and value is not ABSENT:
                if convert is not None:
                    value = convert(value)
                elif is_plain is not None and not is_plain(value):
                    return False
                setattr(row, last_name, value)
        return True

    return carry


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
    payload = layout.fields.type
    columns = [
        _column(payload, field, form, field.name, is_content=field.name in content)
        for field, form in layout.fields.forms
    ]
    columns[0] = _column(payload, *layout.fields.forms[0], entity.id, begin=b"{")
    old = () if layout.carried is None else layout.carried.forms
    carried = [_column(layout.type, field, form, f"last_{field.name}") for field, form in old]
    named = ("last_event_id", "last_action", "last_event_timestamp", "processing_time")
    recogniser = _compiled.Recogniser(
        pure,
        msgspec.json.Decoder(layout.type).decode,
        tuple(columns),
        tuple(carried),
        [_label(name) for name in named],
        layout.type,
        (layout.payload, layout.time, layout.event_id, layout.action),
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
    type_: Any,
    field: EntityField,
    form: Form,
    name: str,
    *,
    is_content: bool = False,
    begin: bytes = b",",
) -> Any:
    # Times are tested in C.
    test = None if form.plain is is_in_utc else form.plain
    label = _label(name, begin)
    return _compiled.Column(
        label,
        type_,
        field.name,
        test,
        form.convert,
        ABSENT,
        field.default,
        form.digits,
        is_content,
    )


def _label(name: str, begin: bytes = b",") -> bytes:
    return begin + _encode(name) + b":"
