"""Runs of a history: by the core, driven as the agent drives it, and by a model of the rules.

The model judges meanings (`histories.Meaning`), so it shares no code with the core.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from dedup.core.dead_letter import DeadLetter, Header
from dedup.core.decide import EMITTING, Position, ProcessingTime, Rules, decide
from dedup.core.facts import decide_on, facts_of
from dedup.core.keys import Id
from dedup.core.records import output_headers
from dedup.core.state import decode_state, encode_state
from dedup.demo.example import Choice
from tests.core.histories import Content, History, Item
from tests.support.products import CODEC
from tests.support.products import rules as rules_for_products

NOW_MS: Final = 1_764_000_000_123
CLOCK: Final = ProcessingTime(NOW_MS * 1000, "2025-11-24T16:00:00.123000Z")
PARTITION: Final = 3

Emitted = dict[int, list[tuple[str, Content] | None]]
"""Event id and content of the records of each product, in order; None is a tombstone."""


def rules_of(choice: Choice) -> Rules:
    """Return the core's rules with a strategy and a window."""
    return replace(
        rules_for_products(),
        strategy=choice.strategy,
        window_us=None if choice.window_s is None else int(choice.window_s * 1_000_000),
        window_kind=choice.window_kind,
        window_entries=choice.window_entries,
    )


class Record(NamedTuple):
    """A record as it stands on `src_products`."""

    key: bytes
    value: bytes | None
    headers: list[Header]


class Run:
    """The core over a history: the states are bytes, as in RocksDB.

    Each event is decided on in both ways, as pydantic reads it and by the fast path.
    """

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or rules_for_products()
        self.states: dict[Id, bytes] = {}
        self.records: list[Record] = []
        self.outcomes: Counter[str] = Counter()

    def read(self, history: History, start: int = 0, stop: int | None = None) -> None:
        """Apply the records at the offsets from `start` to before `stop`."""
        for offset in range(start, len(history) if stop is None else stop):
            self._apply(history[offset], Position(PARTITION, offset))

    def _apply(self, item: Item, at: Position) -> None:
        event = self.rules.codec.read(item.key, item.value)
        known = None if isinstance(event, DeadLetter) else self.states.get(event.id)
        state = None if known is None else decode_state(known)
        decision = decide(event, state, at, CLOCK, self.rules)
        facts = facts_of(self.rules.codec, item.key, item.value, CLOCK.text)
        if decide_on(facts, state, at, CLOCK, self.rules) != decision:
            raise AssertionError(item)  # the fast path decides otherwise
        self.outcomes[decision.outcome] += 1
        if decision.state is not None and not isinstance(event, DeadLetter):
            self.states[event.id] = encode_state(decision.state)
            if decision.outcome in EMITTING:
                key = CODEC.keys.write(event.id, "json")
                headers = output_headers(decision.state)
                self.records.append(Record(key, decision.state.row, headers))

    def recover(self, records: Iterable[Record]) -> None:
        """Bring the states up to date from records of the topic alone."""
        for record in records:
            product_id = CODEC.keys.read_output(record.key)
            state = self.rules.codec.state_from_record(record.value, record.headers, NOW_MS)
            if product_id is None or state is None:
                raise AssertionError(record)
            self.states[product_id] = encode_state(state)

    def sequences(self) -> dict[bytes, list[bytes | None]]:
        """The values on the topic, product by product."""
        found: dict[bytes, list[bytes | None]] = defaultdict(list)
        for record in self.records:
            found[record.key].append(record.value)
        return found


class Model:
    """The rules of design.md on meanings: what is known is a dictionary."""

    def __init__(self, order: str = "event_time") -> None:
        self.order = order
        self.content: dict[int, Content | None] = {}
        self.newest: dict[int, int] = {}
        self.newest_emitted: dict[int, int] = {}
        self.emitted: Emitted = defaultdict(list)

    def judge(self, item: Item) -> str:
        """Say what becomes of the next record of a run without a crash."""
        if item.meaning is None:
            return "dead_letter"
        product_id, action, time, event_id, given = item.meaning
        newest = self.newest.get(product_id)
        if newest is not None and time is not None and time < newest and self.order != "arrival":
            return "stale"
        known = self.content.get(product_id)
        content: Content | None = None
        if action != "deleted":
            defaults = {"description": None, "stock_quantity": 0, "discount": 0}
            content = {**(defaults if known is None or action == "created" else known), **given}
            if not {"product_name", "price"} <= content.keys():
                return "dead_letter"
        if time is not None:
            newest = self.newest[product_id] = time if newest is None else max(time, newest)
        if content == known:
            return "duplicate"
        self.content[product_id] = content
        self.newest_emitted[product_id] = newest or 0
        self.emitted[product_id].append(None if content is None else (event_id or "", content))
        return "tombstone" if content is None else "change"


def judged(history: History, order: str = "event_time") -> Model:
    """A model that has seen a history."""
    model = Model(order)
    for item in history:
        model.judge(item)
    return model


def without_forgotten_times(history: History) -> list[Item]:
    """A history whose late events are all older than their product's last emission.

    The topic keeps the times of emissions only: after a rebuild from it an event that is later
    than the last emission, yet older than a duplicate, is not stale any more (rule 5).
    """
    model = Model()
    kept = []
    for item in history:
        outcome = model.judge(item)
        if outcome == "stale" and item.meaning is not None:
            product_id, _, time, _, _ = item.meaning
            if (time or 0) >= model.newest_emitted.get(product_id, -(2**63)):
                continue
        kept.append(item)
    return kept
