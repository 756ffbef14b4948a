"""The rules that a record of `src_products` was made with, from its headers.

If they differ from the defaults, the header `dedup.rules` contains the differences as a JSON
object. A fingerprint also identifies its fields, by a digest: records without the header are read
that way. The size limit of a row is not included: it affects no record that is written.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Final, Literal

import msgspec

from dedup.core.codec import UnknownActions, UnknownFields
from dedup.core.codecs import codec_for, with_content_of
from dedup.core.dead_letter import AnyHeader, Header
from dedup.core.decide import Rules
from dedup.core.decision import EventRules
from dedup.core.entity import Entity
from dedup.core.fingerprint import SCHEME_BYTES
from dedup.core.records import recorded
from dedup.core.window import Strategy, WindowKind

RULES_HEADER: Final = "dedup.rules"

_RECORDED: Final = (
    *("order", "strategy", "window_us", "window_kind", "window_entries", "deleted_marker_us"),
)
_DEFAULT: Final = EventRules()
_CACHED: Final = 256


class _Recorded(msgspec.Struct):
    """The fields of the header; see `Rules` and `Codec`."""

    order: Literal["event_time", "arrival"] = _DEFAULT.order
    strategy: Strategy = _DEFAULT.strategy
    # The name is that of releases that had one strategy.
    window_us: int | None = msgspec.field(default=None, name="refresh_after_us")
    window_kind: WindowKind = _DEFAULT.window_kind
    window_entries: int = _DEFAULT.window_entries
    deleted_marker_us: int = _DEFAULT.deleted_marker_us
    unknown_actions: UnknownActions = "update"
    unknown_fields: UnknownFields = "drop"
    fields: list[str] | None = None


_SAID: Final = _Recorded()


def rules_headers(rules: Rules) -> list[Header]:
    """Return the header for the rules; none for the default ones."""
    codec = rules.codec
    said = _Recorded(
        **{name: getattr(rules, name) for name in _RECORDED},
        unknown_actions=codec.unknown_actions,
        unknown_fields=codec.unknown_fields,
        fields=None if codec.content == codec.entity.content else list(codec.content),
    )
    # Compared by value: msgspec's omit_defaults takes an equal number for another one.
    names = zip(said.__struct_fields__, said.__struct_encode_fields__, strict=True)
    differing = {
        written: value
        for name, written in names
        if (value := getattr(said, name)) != getattr(_SAID, name)
    }
    return [(RULES_HEADER, msgspec.json.encode(differing))] if differing else []


def rules_of_record(headers: Collection[AnyHeader], entity: Entity) -> Rules:
    """Return the rules of a record; those that its headers do not contain have their defaults."""
    fingerprint = recorded(headers).fingerprint or b""
    return _rules(dict(headers).get(RULES_HEADER) or b"{}", fingerprint[:SCHEME_BYTES], entity)


@lru_cache(_CACHED)
def _rules(header: bytes, scheme: bytes, entity: Entity) -> Rules:
    try:
        said = msgspec.json.decode(header, type=_Recorded)
    except (ValueError, RecursionError):  # another program's header with that name
        said = _Recorded()
    fields = None if said.fields is None else tuple(said.fields)
    choices = said.unknown_fields, said.unknown_actions
    codec = codec_for(entity, None, *choices)
    try:
        if fields is not None:
            codec = codec_for(entity, fields, *choices)
        else:
            codec = with_content_of(codec, scheme) or codec
    except ValueError:  # unknown fields
        pass
    return Rules(codec=codec, **{name: getattr(said, name) for name in _RECORDED})
