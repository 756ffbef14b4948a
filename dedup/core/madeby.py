"""The rules a record of `src_products` was made with, as its headers tell them.

A record made by rules other than the default ones says so in the header `dedup.rules`: a JSON
object of what differs. A fingerprint names its fields too, by a digest: that is how records written
without the header are read. The size of the largest row is left out: it makes no record.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from dedup.core.deadletter import Header
from dedup.core.decide import Rules
from dedup.core.fingerprint import SCHEME_BYTES, FingerprintScheme, scheme_of
from dedup.core.row import FINGERPRINT_HEADER

RULES_HEADER: Final = "dedup.rules"

_TOLD: Final = ("order", "refresh_after_us", "deleted_marker_us", "unknown_actions")
_DEFAULT: Final = Rules()
_CHOICES_KEPT: Final = 256


class _Told(msgspec.Struct):
    """What the header may say: see `Rules`."""

    fields: list[str] | None = None
    order: Literal["event_time", "arrival"] = _DEFAULT.order
    refresh_after_us: int | None = None
    deleted_marker_us: int = _DEFAULT.deleted_marker_us
    unknown_actions: Literal["update", "dead_letter"] = _DEFAULT.unknown_actions


def rules_headers(rules: Rules) -> list[Header]:
    """Return the header that tells the rules; none for the default ones."""
    told: dict[str, Any] = {
        name: getattr(rules, name)
        for name in _TOLD
        if getattr(rules, name) != getattr(_DEFAULT, name)
    }
    if rules.scheme != _DEFAULT.scheme:
        told["fields"] = rules.scheme.fields
    return [(RULES_HEADER, msgspec.json.encode(told))] if told else []


def rules_of_record(headers: Iterable[Header]) -> Rules:
    """Return the rules a record was made with; what its headers do not tell has its default."""
    found = dict(headers)
    fingerprint = found.get(FINGERPRINT_HEADER) or b""
    return _rules(found.get(RULES_HEADER) or b"{}", fingerprint[: 2 * SCHEME_BYTES])


@lru_cache(_CHOICES_KEPT)
def _rules(header: bytes, hex_of_scheme: bytes) -> Rules:
    try:
        told = msgspec.json.decode(header, type=_Told)
    except (ValueError, RecursionError):  # somebody else's header of that name
        told = _Told()
    try:
        scheme = scheme_of(bytes.fromhex(hex_of_scheme.decode()))
        if told.fields is not None:
            scheme = FingerprintScheme(told.fields)
    except ValueError:  # fields that this version does not know, or no fingerprint
        scheme = None
    return Rules(
        scheme=scheme or _DEFAULT.scheme,
        order=told.order,
        refresh_after_us=told.refresh_after_us,
        deleted_marker_us=told.deleted_marker_us,
        unknown_actions=told.unknown_actions,
    )
