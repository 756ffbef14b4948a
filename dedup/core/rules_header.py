"""The rules that a record of `src_products` was made with, from its headers.

If they differ from the defaults, the header `dedup.rules` contains the differences as a JSON
object. A fingerprint also identifies its fields, by a digest: records without the header are read
that way. The size limit of a row is not included: it affects no record that is written.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from dedup.core.dead_letter import Header
from dedup.core.decide import Rules
from dedup.core.fingerprint import SCHEME_BYTES, FingerprintScheme, scheme_of
from dedup.core.row import FINGERPRINT_HEADER

RULES_HEADER: Final = "dedup.rules"

_RECORDED: Final = ("order", "refresh_after_us", "deleted_marker_us", "unknown_actions")
_DEFAULT: Final = Rules()
_CACHED: Final = 256


class _Recorded(msgspec.Struct):
    """The fields of the header; see `Rules`."""

    fields: list[str] | None = None
    order: Literal["event_time", "arrival"] = _DEFAULT.order
    refresh_after_us: int | None = None
    deleted_marker_us: int = _DEFAULT.deleted_marker_us
    unknown_actions: Literal["update", "dead_letter"] = _DEFAULT.unknown_actions


def rules_headers(rules: Rules) -> list[Header]:
    """Return the header for the rules; none for the default ones."""
    recorded: dict[str, Any] = {
        name: getattr(rules, name)
        for name in _RECORDED
        if getattr(rules, name) != getattr(_DEFAULT, name)
    }
    if rules.scheme != _DEFAULT.scheme:
        recorded["fields"] = rules.scheme.fields
    return [(RULES_HEADER, msgspec.json.encode(recorded))] if recorded else []


def rules_of_record(headers: Iterable[Header]) -> Rules:
    """Return the rules of a record; those that its headers do not contain have their defaults."""
    found = dict(headers)
    fingerprint = found.get(FINGERPRINT_HEADER) or b""
    return _rules(found.get(RULES_HEADER) or b"{}", fingerprint[: 2 * SCHEME_BYTES])


@lru_cache(_CACHED)
def _rules(header: bytes, hex_of_scheme: bytes) -> Rules:
    try:
        recorded = msgspec.json.decode(header, type=_Recorded)
    except (ValueError, RecursionError):  # another program's header with that name
        recorded = _Recorded()
    try:
        scheme = scheme_of(bytes.fromhex(hex_of_scheme.decode()))
        if recorded.fields is not None:
            scheme = FingerprintScheme(recorded.fields)
    except ValueError:  # unknown fields, or no fingerprint
        scheme = None
    return Rules(
        scheme=scheme or _DEFAULT.scheme,
        order=recorded.order,
        refresh_after_us=recorded.refresh_after_us,
        deleted_marker_us=recorded.deleted_marker_us,
        unknown_actions=recorded.unknown_actions,
    )
