"""Decisions on events as coloured lines."""

from collections.abc import Mapping
from typing import Final

from rich.text import Text

from dedup.core.decide import Outcome
from dedup.core.normal_event import NormalEvent
from dedup.core.printable import harmless
from dedup.inspection.decided_events import DecidedEvent

_COLOURS: Final[Mapping[Outcome, str]] = {
    Outcome.CHANGE: "green",
    Outcome.REFRESH: "cyan",
    Outcome.TOMBSTONE: "magenta",
    Outcome.DUPLICATE: "dim",
    Outcome.STALE: "yellow",
    Outcome.REPLAYED: "blue",
    Outcome.DEAD_LETTER: "red",
}
_OUTCOME_WIDTH: Final = max(map(len, Outcome))


def decision_line(decided: DecidedEvent, *, position: str | None = None) -> Text:
    """Return a line: position, id, outcome, action, and the differences or the reason."""
    outcome = decided.decision.outcome
    event = decided.event
    row_id, action = "?", "-"
    if isinstance(event, NormalEvent):
        row_id = harmless(event.id)
        action = harmless(decided.rules.codec.action(event) or event.kind)
    if position is None:
        position = f"{decided.at.partition}:{decided.at.offset}"
    return Text.assemble(
        (f"{position:>10}  ", "dim"),
        (f"{row_id:>7}  ", "bold"),
        (f"{outcome:<{_OUTCOME_WIDTH}}  ", _COLOURS[outcome]),
        f"{action:<13}  ",
        _differences_or_reason(decided),
    )


def _differences_or_reason(decided: DecidedEvent) -> str:
    """Return the fields that differ for a change of a known row, else the reason."""
    explanation = decided.explain()
    known = decided.before is not None and decided.before.row is not None
    if decided.decision.outcome is Outcome.CHANGE and known:
        differing = [c for c in explanation.comparisons if c.differs]
        return ", ".join(f"{c.field} {harmless(c.known)} → {harmless(c.event)}" for c in differing)
    letter = decided.decision.dead_letter
    return harmless(explanation.why if letter is None else f"{letter.reason}: {letter.message}")
