"""Variants of the rules, as `dedup compare` names them: `distinct:10m:sliding`.

A variant is a strategy, then in any order a window, its kind, an order, content fields and a number
of entries. What it does not name is that of the settings, but for the window: that belongs to the
strategy.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, get_args

from dedup.core.decide import Rules
from dedup.core.entity import Entity
from dedup.core.errors import SettingsError
from dedup.core.setting_types import window_fault
from dedup.core.window import Strategy, WindowKind
from dedup.rules import rules_of, strategies_of, with_window
from dedup.settings import Settings

_WINDOW: Final = "DEDUP_WINDOW"
_ALONE: Final = {
    "fixed": "DEDUP_WINDOW_KIND",
    "sliding": "DEDUP_WINDOW_KIND",
    "event_time": "DEDUP_ORDER",
    "arrival": "DEDUP_ORDER",
}
_NAMED: Final = {"fields": "DEDUP_CONTENT_FIELDS", "entries": "DEDUP_WINDOW_ENTRIES"}

EXPECTED: Final = (
    "a window such as 10m, fixed or sliding, event_time or arrival, "
    "fields=NAME,NAME or entries=NUMBER"
)
"""What may follow the strategy of a variant."""

_BY_DEFAULT: Final[dict[Strategy, str]] = {
    "latest": "latest",
    "distinct": "distinct:24h",
    "event_id": "event_id:24h",
}


class Variant(NamedTuple):
    """Rules, and the name that was given to them."""

    name: str
    rules: Rules


class VariantError(ValueError):
    """A name that is none of a variant; the text says what is accepted."""


def default_variants(entity: Entity) -> list[str]:
    """Return the names of what is compared by default: all strategies that the entity can have."""
    return [_BY_DEFAULT[strategy] for strategy in strategies_of(entity)]


def read_variants(names: Sequence[str], settings: Settings) -> list[Variant]:
    """Read the names of variants. Raises VariantError."""
    return [Variant(name, rules_of(_settings_of(name, settings))) for name in names]


def _settings_of(name: str, settings: Settings) -> Settings:
    strategy, *words = name.split(":")
    chosen = {"DEDUP_STRATEGY": strategy}
    for word in words:
        setting, value = _setting(name, word)
        if setting in chosen:
            raise VariantError(f"{name}: {word!r} contradicts {chosen[setting]!r}.")
        chosen[setting] = value
    if _lacks_window(chosen):
        raise VariantError(f"{name}: it needs a window, such as {name}:24h.")
    try:
        return with_window(settings, chosen)
    except SettingsError as error:
        raise VariantError(f"{name}: {'; '.join(str(error).splitlines())}.") from None


def _setting(name: str, word: str) -> tuple[str, str]:
    """Return the setting that a word of a variant is of, and its value."""
    key, _, value = word.partition("=")
    if key in _NAMED and value:
        return _NAMED[key], value
    if word in _ALONE:
        return _ALONE[word], word
    if word[:1].isdecimal():
        return _WINDOW, word
    raise VariantError(f"{name}: {word!r} is not accepted: expected {EXPECTED}.")


def _lacks_window(chosen: dict[str, str]) -> bool:
    kind: WindowKind = "sliding" if chosen.get("DEDUP_WINDOW_KIND") == "sliding" else "fixed"
    return _WINDOW not in chosen and any(
        window_fault(strategy, kind, None, None) is not None
        for strategy in get_args(Strategy)
        if strategy == chosen["DEDUP_STRATEGY"]
    )
