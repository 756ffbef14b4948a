"""The compiled recogniser, where it was built: the same as the codec's own function, faster.

It is optional: an install without a C compiler has no `_recogniser`, and lacks nothing but speed.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

import msgspec

from dedup.core.entity import Entity
from dedup.core.fields import EntityField
from dedup.core.keys import Id, Keys
from dedup.core.kinds import Form
from dedup.core.layout import Layout
from dedup.core.payload import ABSENT
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


def compiled(
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
        keys.are_text,
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
