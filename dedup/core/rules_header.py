"""The rules that a record of `src_products` was made with, from its headers.

If they differ from the defaults, the header `dedup.rules` contains the differences as a JSON
object. A fingerprint also identifies its fields, by a digest: records without the header are read
that way. The size limit of a row is not included: it affects no record that is written.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

import msgspec

from dedup.core.codec import UnknownActions, UnknownFields
from dedup.core.codecs import codec_for, with_content_of
from dedup.core.dead_letter import Header
from dedup.core.decide import Rules
from dedup.core.entity import Entity
from dedup.core.fingerprint import SCHEME_BYTES
from dedup.core.records import FINGERPRINT_HEADER
from dedup.core.ruling import EventRules

RULES_HEADER: Final = "dedup.rules"

_RECORDED: Final = ("order", "refresh_after_us", "deleted_marker_us")
_DEFAULT: Final = EventRules()
_CACHED: Final = 256


class _Recorded(msgspec.Struct):
    """The fields of the header; see `Rules` and `Codec`."""

    order: Literal["event_time", "arrival"] = _DEFAULT.order
    refresh_after_us: int | None = None
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
    recorded = {n: v for n, v in msgspec.structs.asdict(said).items() if v != getattr(_SAID, n)}
    return [(RULES_HEADER, msgspec.json.encode(recorded))] if recorded else []


def rules_of_record(headers: Iterable[Header], entity: Entity) -> Rules:
    """Return the rules of a record; those that its headers do not contain have their defaults."""
    found = dict(headers)
    fingerprint = found.get(FINGERPRINT_HEADER) or b""
    return _rules(found.get(RULES_HEADER) or b"{}", fingerprint[: 2 * SCHEME_BYTES], entity)


@lru_cache(_CACHED)
def _rules(header: bytes, hex_of_scheme: bytes, entity: Entity) -> Rules:
    try:
        recorded = msgspec.json.decode(header, type=_Recorded)
    except (ValueError, RecursionError):  # another program's header with that name
        recorded = _Recorded()
    fields = None if recorded.fields is None else tuple(recorded.fields)
    choices = recorded.unknown_fields, recorded.unknown_actions
    codec = codec_for(entity, None, *choices)
    try:
        if fields is not None:
            codec = codec_for(entity, fields, *choices)
        else:
            codec = with_content_of(codec, bytes.fromhex(hex_of_scheme.decode())) or codec
    except ValueError:  # unknown fields, or no fingerprint
        pass
    return Rules(codec=codec, **{name: getattr(recorded, name) for name in _RECORDED})
