"""What a demo is of: an entity, a generator of its events, and an oracle.

`dedup demo --example MODULE:ATTRIBUTE` runs one of these; without it, the demo is of products.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final, Protocol

from pydantic import TypeAdapter, ValidationError

from dedup.core.entity import Entity
from dedup.core.setting_types import Duration
from dedup.core.window import Strategy, WindowKind
from dedup.entities.resolve import resolve, resolve_entity

History = dict[Any, list[Any]]
"""The emissions of each id in order, of products by the id of the event; None is a tombstone."""

Row = Mapping[str, Any]
"""A row of the output topic, as JSON has it."""


@dataclass(frozen=True)
class Choice:
    """A strategy and its window, in seconds. Raises ValueError for one that no oracle can follow.

    That is a fixed window of `latest`: it is by the clock of the worker, not by event time.
    """

    strategy: Strategy = "latest"
    window_s: float | None = None
    window_kind: WindowKind = "fixed"
    window_entries: int = 64

    def __post_init__(self) -> None:
        """Raise ValueError for a contradiction."""
        needs_one = (self.strategy, self.window_kind) != ("latest", "fixed")
        if needs_one and self.window_s is None:
            raise ValueError(f"{self} needs a window")
        if not needs_one and self.window_s is not None:
            raise ValueError("a fixed window of latest is by the clock: expected a sliding one")

    def __str__(self) -> str:
        window = (
            "" if self.window_s is None else f", {self.window_kind} window of {self.window_s:g} s"
        )
        return f"{self.strategy}{window}"

    @property
    def settings(self) -> dict[str, str]:
        """The worker's settings that say it."""
        if self.window_s is None:
            return {"DEDUP_STRATEGY": self.strategy}
        return {
            "DEDUP_STRATEGY": self.strategy,
            "DEDUP_WINDOW": f"{self.window_s:f}",
            "DEDUP_WINDOW_KIND": self.window_kind,
            "DEDUP_WINDOW_ENTRIES": str(self.window_entries),
        }


LATEST: Final = Choice()
_WINDOW_S: Final = 5.0
_SECONDS: Final = TypeAdapter[float](Duration)


def choose(
    strategy: Strategy, window: str | None = None, kind: WindowKind | None = None, entries: int = 64
) -> Choice:
    """Return the choice that the options of a command are, with defaults. Raises ValueError.

    The default window ends several times within the events of a demo.
    """
    if strategy == "latest" and window is None and kind is None:
        return LATEST
    kind = kind or ("sliding" if strategy == "latest" else "fixed")
    try:
        window_s = _WINDOW_S if window is None else _SECONDS.validate_python(window)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    return Choice(strategy, window_s, kind, entries)


class Event(Protocol):
    """A record to produce."""

    @property
    def key(self) -> bytes | None: ...  # noqa: D102 - Kafka's words
    @property
    def value(self) -> bytes | None: ...  # noqa: D102


class Oracle(Protocol):
    """An independent implementation of the rules for one entity."""

    emitted: History
    """What must have been emitted for each id, in order; None is a tombstone."""

    outcomes: Counter[str]

    def feed(self, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Process keys and values, in the order of their partition."""


@dataclass(frozen=True)
class Column:
    """A column of the rows that the demo shows."""

    heading: str
    text: Callable[[Row], object]
    right: bool = False


def _key_and_value(event: Event) -> list[str]:
    shown = [b"null" if part is None else part for part in (event.key, event.value)]
    return [b" ".join(shown).decode("utf-8", "backslashreplace")]


@dataclass(frozen=True)
class Example:
    """An entity that the demo and the chaos tests can run."""

    entity_name: str
    """The value of `DEDUP_ENTITY`."""

    generate: Callable[[int, int, Callable[[], datetime]], Iterator[Event]]
    """Returns endless events: of a seed, of so many rows, at the times of a clock."""

    oracle: Callable[[], Oracle]
    emission: Callable[[Row], Any]
    """Returns what the oracle has for the emission of a row."""

    columns: tuple[Column, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    """Other settings of the worker, such as `KAFKA_PRODUCT_TOPIC`."""

    lines: Callable[[Any], list[str]] = _key_and_value
    """Returns the lines that the console shows for an event."""

    with_choice: Callable[[Choice], "Example"] | None = None
    """Returns the example with the events and the oracle of a strategy; None: only `latest`."""

    choice: Choice | None = None
    """The strategy that was chosen, if one was."""

    others: Mapping[str, Callable[[], Oracle]] = field(default_factory=dict)
    """Oracles by the names of other strategies, which see the same events for comparison."""

    @property
    def entity(self) -> Entity:
        """The entity."""
        return resolve_entity(self.entity_name)


def resolve_example(name: str) -> Example:
    """Return the example that `--example` names. Raises ValueError, which says what is wrong."""
    return resolve(name, "--example", Example)


def differences(expected: History, emitted: History, of: str = "product") -> list[str]:
    """Return the first difference of each row whose sequences of emissions differ."""
    found = []
    for row_id in sorted(expected.keys() | emitted.keys()):
        want, have = expected.get(row_id, []), emitted.get(row_id, [])
        if want != have:
            pairs = enumerate(zip_longest(want, have, fillvalue="nothing"))
            number, (wanted, got) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
            found.append(
                f"{of} {row_id}, emission {number + 1}: expected {wanted} of {len(want)}, "
                f"found {got} of {len(have)}"
            )
    return found
