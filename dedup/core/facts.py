"""Records to decisions, for any entity: the fast path first, then pydantic, then the rules."""

from collections.abc import Sequence
from typing import Final

from dedup.core.codec import Codec, Whole
from dedup.core.dead_letter import DeadLetter
from dedup.core.decision import Decision, EventRules, Outcome, Position, ProcessingTime
from dedup.core.keys import Id
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.core.rows import row_event_id
from dedup.core.ruling import rule
from dedup.core.state import State

_UPSERT: Final = EventKind.UPSERT


class RecognisedFacts:
    """What the rules see of an event that the fast path took: its row is written already."""

    __slots__ = ("_codec", "_fingerprint", "_row", "id", "kind", "time")

    lacks: Sequence[str] = ()

    def __init__(self, codec: Codec, recognised: tuple[Id, int, bytes, bytes]) -> None:
        self.id, time, canonical, self._row = recognised
        self.time: int | None = time
        self.kind = _UPSERT
        self._codec = codec
        self._fingerprint = codec.fingerprint(canonical)

    def lacking(self) -> DeadLetter:
        """Refuse: such an event lacks nothing."""
        raise AssertionError(self.id)

    def fingerprint(self, known_row: bytes | None) -> bytes | DeadLetter:  # noqa: ARG002 - it is whole
        """Return the fingerprint of the row."""
        return self._fingerprint

    def row(self, processing_time: str) -> bytes:  # noqa: ARG002 - it is in the row
        """Return the row."""
        return self._row

    def recomputed(self, state: State) -> bytes | None:
        """Return the known row's fingerprint in today's scheme; None where it is that already."""
        return self._codec.recomputed(state)

    @property
    def event_id(self) -> str | None:
        """Return the id of the event, None where it has none."""
        return row_event_id(self._row)

    def last_event(self, row: bytes) -> tuple[str | None, int | None]:
        """Return the id and the time of the event that a known row names as its last."""
        return self._codec.last_event(row)


class ReadFacts:
    """What the rules see of an event that pydantic read."""

    __slots__ = ("_codec", "_event", "_whole", "id", "kind", "time")

    def __init__(self, codec: Codec, event: NormalEvent) -> None:
        self.id = event.id
        self.time = event.time
        self.kind = event.kind
        self._codec = codec
        self._event = event
        self._whole: Whole | None = None

    @property
    def lacks(self) -> Sequence[str]:
        """Return the required fields that the event does not have."""
        return self._event.lacks

    def lacking(self) -> DeadLetter:
        """Return the dead letter of an event that lacks fields which nothing can complete."""
        return self._codec.partial_without_state(self._event)

    def fingerprint(self, known_row: bytes | None) -> bytes | DeadLetter:
        """Return the fingerprint of the whole row after the event, over the known row."""
        whole = self._codec.whole(self._event, known_row)
        if isinstance(whole, DeadLetter):
            return whole
        self._whole = whole
        return self._codec.fingerprint(whole.canonical)

    def row(self, processing_time: str) -> bytes:
        """Return the row whose fingerprint was returned last."""
        if self._whole is None:
            raise AssertionError(self.id)
        return self._codec.row(self._event, self._whole, processing_time)

    def recomputed(self, state: State) -> bytes | None:
        """Return the known row's fingerprint in today's scheme; None where it is that already."""
        return self._codec.recomputed(state)

    @property
    def event_id(self) -> str | None:
        """Return the id of the event, None where it has none."""
        return self._codec.event_id(self._event)

    def last_event(self, row: bytes) -> tuple[str | None, int | None]:
        """Return the id and the time of the event that a known row names as its last."""
        return self._codec.last_event(row)


EntityFacts = RecognisedFacts | ReadFacts


def facts_of(
    codec: Codec, key: bytes | None, value: bytes | None, processing_time: str
) -> EntityFacts | DeadLetter:
    """Return what the rules see of a record; a dead letter for one that does not fit the entity."""
    recognised = codec.recognise(key, value, processing_time)
    if recognised is not None:
        return RecognisedFacts(codec, recognised)
    return facts_of_read(codec, codec.read(key, value))


def facts_of_read(codec: Codec, event: NormalEvent | DeadLetter) -> EntityFacts | DeadLetter:
    """Return what the rules see of an event that the codec read, or of none."""
    if isinstance(event, DeadLetter):
        return event
    return codec.refused(event) or ReadFacts(codec, event)


def decide_on(
    facts: EntityFacts | DeadLetter,
    state: State | None,
    at: Position,
    clock: ProcessingTime,
    rules: EventRules,
) -> Decision:
    """Decide on an event of any entity, given what is known of its row (None: nothing)."""
    if isinstance(facts, DeadLetter):
        return Decision(Outcome.DEAD_LETTER, dead_letter=facts)
    return rule(facts, state, at, clock, rules)
