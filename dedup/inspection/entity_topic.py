"""Reads a topic for the commands on entities: a sample to infer one from, or all to check one."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.decide import EMITTING, Outcome, Position, ProcessingTime, Rules
from dedup.core.facts import EntityFacts, RecognisedFacts, decide_on, facts_of
from dedup.core.times import time_text
from dedup.inference.events import SampledRecord
from dedup.inspection.states import States, states_on_disk
from dedup.kafka.topic_reader import Spans, TopicReader, open_topic
from dedup.rules import rules_of
from dedup.settings import Settings

OnRead = Callable[[int, int], None]
"""Called with how many records were read, and how many there are."""

_OPTION: Final = "--topic"
_MOST_BYTES: Final = 32 * 1024 * 1024
_LONGEST_KEY: Final = 200
_MOST_REFUSALS: Final = 20


@dataclass(frozen=True)
class Sample:
    """Records from the beginning and the end of each partition, in order.

    `there`: offsets on the topic. `cut`: reading ended early, for the records are very large.
    """

    records: list[SampledRecord]
    there: int
    cut: bool


async def sample_topic(settings: Settings, topic: str, most: int) -> Sample:
    """Read at most so many records: of each partition the oldest and the newest.

    Raises ReadError.
    """
    records: list[SampledRecord] = []
    size = 0
    async with open_topic(settings, topic, _OPTION) as reader:
        there = sum(map(len, reader.spans.values()))
        for spans in sample_spans(reader.spans, most):
            async for partition, batch in reader.read(spans):
                records += [SampledRecord(partition, r.offset, r.key, r.value) for r in batch]
                size += sum(len(r.key or b"") + len(r.value or b"") for r in batch)
                if size > _MOST_BYTES:
                    return Sample(records, there, cut=True)
    return Sample(records, there, cut=False)


def sample_spans(spans: Spans, most: int) -> tuple[Spans, Spans]:
    """Return the oldest and the newest offsets of each partition, `most` of all together.

    A partition that has fewer than its share leaves the rest to the others.
    """
    first, last = {}, {}
    left = most
    by_size = sorted(spans.items(), key=lambda item: len(item[1]))
    for done, (partition, span) in enumerate(by_size):
        share = min(len(span), left // (len(by_size) - done))
        left -= share
        middle = span.start + (share + 1) // 2
        if share == len(span):
            middle = span.stop
        first[partition] = range(span.start, middle)
        last[partition] = range(max(middle, span.stop - share // 2), span.stop)
    return first, last


@dataclass
class Refusal:
    """A reason for which events would be refused: how many, and the first of them."""

    reason: str
    message: str
    partition: int
    offset: int
    key: bytes | None
    events: int = 0


@dataclass
class EntityCheck:
    """What an entity makes of the records of a topic."""

    events: int = 0
    fast: int = 0
    """Events that the fast path took; `validated`: those that pydantic took."""

    validated: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    refusals: dict[tuple[str, str], Refusal] = field(default_factory=dict)
    """By reason; those of invalid events by what is wrong with them, too."""

    cut: list[int] = field(default_factory=list)
    """Partitions whose first events were removed by retention."""

    @property
    def refused(self) -> int:
        """The events that would be dead letters."""
        return self.outcomes[Outcome.DEAD_LETTER]

    @property
    def emitted(self) -> int:
        """The records that the worker would write."""
        return sum(self.outcomes[outcome] for outcome in EMITTING)

    @property
    def suppressed_share(self) -> float:
        """The share of the accepted events that say nothing new, from 0 to 1."""
        accepted = self.events - self.refused
        return (accepted - self.emitted) / accepted if accepted else 0.0


async def check_topic(settings: Settings, topic: str, on_read: OnRead) -> EntityCheck:
    """Decide on every event of a topic with the entity of the settings, from no known state.

    The states are on disk meanwhile. Deletion markers do not expire, and nothing is refreshed, for
    all events are decided on at one time. Raises ReadError.
    """
    rules = rules_of(settings)
    result = EntityCheck()
    now = datetime.now(UTC)
    clock = ProcessingTime(time.time_ns() // 1_000, time_text(now))
    with states_on_disk(settings.entity) as states:
        async with open_topic(settings, topic, _OPTION) as reader:
            result.cut = [p for p, span in reader.spans.items() if span.start > 0]
            await _check_all(reader, _Checked(result, rules, clock, states), on_read)
    return result


async def _check_all(reader: TopicReader, checked: "_Checked", on_read: OnRead) -> None:
    there = sum(map(len, reader.spans.values()))
    begins = {partition: span.start for partition, span in reader.spans.items()}
    done = dict.fromkeys(begins, 0)
    async for partition, records in reader.read():
        if records:
            checked.add(partition, records)
            done[partition] = records[-1].offset + 1 - begins[partition]
            on_read(sum(done.values()), there)
    on_read(there, there)


class _Checked:
    """Decides on records, and counts."""

    def __init__(
        self, result: EntityCheck, rules: Rules, clock: ProcessingTime, states: States
    ) -> None:
        self._result = result
        self._rules = rules
        self._clock = clock
        self._states = states

    def add(self, partition: int, records: Sequence[Any]) -> None:
        """Decide on records of one partition, in order, and store the new states."""
        codec, clock = self._rules.codec, self._clock
        seen = [facts_of(codec, record.key, record.value, clock.text) for record in records]
        ids = {facts.id for facts in seen if not isinstance(facts, DeadLetter)}
        known = self._states.read(partition, list(ids))
        for facts, record in zip(seen, records, strict=True):
            row_id = None if isinstance(facts, DeadLetter) else facts.id
            at = Position(partition, record.offset)
            state = None if row_id is None else known.get(row_id)
            decision = decide_on(facts, state, at, clock, self._rules)
            if decision.state is not None and row_id is not None:
                known[row_id] = decision.state
            self._count(facts, decision.outcome)
            if decision.dead_letter is not None:
                self._refuse(record, partition, decision.dead_letter)
        self._states.write(partition, known)

    def _count(self, facts: EntityFacts | DeadLetter, outcome: Outcome) -> None:
        result = self._result
        result.events += 1
        result.outcomes[outcome] += 1
        if outcome is not Outcome.DEAD_LETTER:
            is_fast = isinstance(facts, RecognisedFacts)
            result.fast += is_fast
            result.validated += not is_fast

    def _refuse(self, record: Any, partition: int, letter: DeadLetter) -> None:
        refusals = self._result.refusals
        # Other messages name the key, so nearly each would be one of its own.
        told = letter.message if letter.reason is Reason.INVALID_EVENT else ""
        if (letter.reason, told) not in refusals and len(refusals) >= _MOST_REFUSALS:
            told = ""
        if (letter.reason, told) not in refusals:
            key = None if record.key is None else record.key[:_LONGEST_KEY]
            refusals[letter.reason, told] = Refusal(
                letter.reason, letter.message, partition, record.offset, key
            )
        refusals[letter.reason, told].events += 1
