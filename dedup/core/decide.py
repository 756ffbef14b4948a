"""The decision on events of products: their rules, and what the rules see of them.

The rules themselves are those of `ruling.py`, which knows no field.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.event import ACTIONS, REQUIRED_FIELDS, Event, NormalProduct
from dedup.core.fingerprint import FingerprintScheme
from dedup.core.normal_event import EventKind
from dedup.core.row import encode_row, read_product
from dedup.core.ruling import (
    DAY_US,
    EMITTING,
    Decision,
    EventRules,
    Outcome,
    Position,
    ProcessingTime,
    rule,
)
from dedup.core.state import State

__all__ = [
    "DAY_US",
    "EMITTING",
    "Decision",
    "Outcome",
    "Position",
    "ProcessingTime",
    "Rules",
    "decide",
]

_KNOWN_ACTIONS: Final = frozenset(ACTIONS)
_UPSERT: Final = EventKind.UPSERT
_PARTIAL: Final = EventKind.PARTIAL
_DELETE: Final = EventKind.DELETE


@dataclass(frozen=True)
class Rules(EventRules):
    """Everything that a decision depends on beside the event, the known state and the clock.

    An unknown action is taken as an update, unless the rules say that it is a dead letter.
    """

    scheme: FingerprintScheme = field(default_factory=FingerprintScheme)
    unknown_actions: Literal["update", "dead_letter"] = "update"


def decide(
    event: Event | DeadLetter,
    state: State | None,
    at: Position,
    clock: ProcessingTime,
    rules: Rules,
) -> Decision:
    """Decide on one event, given what is known of its product (None: nothing)."""
    if rules.unknown_actions == "dead_letter":
        event = _with_known_action(event)
    if isinstance(event, DeadLetter):
        return Decision(Outcome.DEAD_LETTER, dead_letter=event)
    kind = _DELETE if event.action == "deleted" else _UPSERT if event.complete else _PARTIAL
    facts = _ProductFacts(event.event_time, kind, event, event.product, rules.scheme)
    return rule(facts, state, at, clock, rules)


class _ProductFacts(msgspec.Struct, gc=False):  # one for each event: built in C
    """What the rules see of an event of a product."""

    time: int | None
    kind: EventKind
    _event: Event
    _product: NormalProduct
    _scheme: FingerprintScheme

    @property
    def lacks(self) -> Sequence[str]:
        return sorted(REQUIRED_FIELDS - self._event.product.given().keys(), reverse=True)

    def lacking(self) -> DeadLetter:
        return DeadLetter(
            Reason.PARTIAL_WITHOUT_STATE,
            f"The event lacks {' and '.join(self.lacks)}, and no state of product "
            f"{self._event.product_id} is known to complete it from.",
        )

    def fingerprint(self, known_row: bytes | None) -> bytes | DeadLetter:
        if self.kind is not _UPSERT:
            product = self._merged(known_row)
            if isinstance(product, DeadLetter):
                return product
            self._product = product
        return self._scheme.fingerprint(self._product)

    def row(self, processing_time: str) -> bytes:
        return encode_row(self._event, self._product, processing_time)

    def recomputed(self, state: State) -> bytes | None:
        if state.row is None or self._scheme.matches(state.fingerprint):
            return None
        known = read_product(state.row)
        return None if known is None else self._scheme.fingerprint(known)

    def _merged(self, known_row: bytes | None) -> NormalProduct | DeadLetter:
        """Complete a product from the known row, or from the defaults if nothing is known.

        A created event describes a new product: missing fields get the defaults, whatever is known.
        """
        event = self._event
        if event.action != "created" and known_row is not None:
            known = read_product(known_row)
            if known is not None:
                return replace(known, **event.product.given())
        if self.lacks:
            return self.lacking()
        return replace(NormalProduct.default(event.product_id), **event.product.given())


def _with_known_action(event: Event | DeadLetter) -> Event | DeadLetter:
    if isinstance(event, DeadLetter) or event.action in _KNOWN_ACTIONS:
        return event
    return DeadLetter(
        Reason.UNKNOWN_ACTION,
        f"The action {event.action[:40]!r} is not one of {', '.join(ACTIONS)}.",
    )
