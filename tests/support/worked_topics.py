"""Topics as a worker leaves them, made by the core without a broker: one partition of products."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka import ConsumerRecord

from dedup.core.batch import BatchDecisions, Emission, decide_batch
from dedup.core.decide import ProcessingTime, Rules
from dedup.core.decide_again import decide_again
from dedup.core.decision import Outcome
from dedup.core.explain import instant
from dedup.core.keys import Id
from dedup.core.rules_header import rules_headers
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from dedup.inspection.audit_result import Audit
from dedup.inspection.decided_events import DecidedEvent, decide_records
from dedup.inspection.output_index import OutputIndex
from dedup.inspection.record_checks import RecordChecks
from dedup.inspection.replay_checks import ReplayChecks
from dedup.inspection.resolver import DecisionResolver
from dedup.inspection.states import StatesInMemory, read_states
from tests.support.products import CODEC, ROW_FORMAT
from tests.support.records import record

Decided = list[DecidedEvent]
Records = list[ConsumerRecord[bytes | None, bytes | None]]

STARTED_US: Final = 1_767_312_000_000_000
BATCH_US: Final = 1_000_000


@dataclass
class WorkedTopics:
    """The topics of one worker, and what it knows."""

    rules: Rules
    source: Records = field(default_factory=list)
    output: Records = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    known: dict[Id, State] = field(default_factory=dict)
    now_us: int = STARTED_US
    end: int = 0
    """The next offset of the output topic; a transaction ends with a marker, which takes one."""

    def take(
        self, *events: tuple[int, bytes], rules: Rules | None = None, write: bool = True
    ) -> BatchDecisions:
        """Process a batch: ids and values. With other rules, or without writing, it does wrong."""
        batch = [
            record(len(self.source) + n, value, b"%d" % row_id)
            for n, (row_id, value) in enumerate(events)
        ]
        self.now_us += BATCH_US
        for each in batch:
            each.timestamp = self.now_us // 1000 - 1
        self.source += batch
        known = self.known.copy()
        decided = decide_batch(batch, known, 0, self._clock(), rules or self.rules)
        if not write:
            return decided
        self.known = known
        self.outcomes += decided.outcomes
        for emission in decided.emissions:
            self._append(emission.row_id, emission.state)
        self.end += bool(decided.emissions)
        return decided

    def _clock(self) -> ProcessingTime:
        return ProcessingTime(self.now_us, instant(self.now_us) or "")

    def _append(self, row_id: Id, state: State) -> None:
        row_format = ROW_FORMAT._replace(shared_headers=rules_headers(self.rules))
        made = row_format.record(Emission(row_id, state))
        output = record(self.end, made.value, made.key)
        output.timestamp, output.headers = self.now_us // 1000, tuple(made.headers)
        self.output.append(output)
        self.end += 1

    def lose_disk(self) -> None:
        """Rebuild what is known from the output topic, and from the events that were processed."""
        self.known = {}
        for each in self.output:
            row_id = CODEC.keys.read_output(each.key)
            state = CODEC.state_from_record(each.value, each.headers, each.timestamp)
            assert row_id is not None
            assert state is not None
            self.known[row_id] = state
        decide_again(self.source, self.known, 0, self._clock(), self.rules)

    def compact(self) -> None:
        """Keep the newest record of each key, but for the last ones, as Kafka does."""
        clean, rest = self.output[:-3], self.output[-3:]
        newest = {each.key: each.offset for each in clean}
        self.output = [r for r in clean if newest[r.key] == r.offset] + rest


class _States(StatesInMemory):
    """States in memory that can be listed, as those on disk: a hundred databases take a minute."""

    def items(self, partition: int) -> Iterator[tuple[Id, State]]:
        for (number, row_id), state in sorted(self._states.items()):
            if number == partition:
                yield row_id, state


class Reader:
    """Reads records as one from a topic does."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.spans = {0: range(len(records))}

    async def read(self, _: object = None) -> AsyncIterator[tuple[int, Records]]:
        yield 0, self._records


async def audited(topics: WorkedTopics, settings: Rules | None = None) -> tuple[Audit, Decided]:
    """Return what `dedup verify` finds, and the decisions as the commands show them.

    `settings`: the rules by the settings of today, if they are not those of the worker.
    """
    rules, result, decided = settings or topics.rules, Audit(), list[DecidedEvent]()
    replayed: Any = _States()
    emitted: Any = _States()
    reader: Any = Reader(topics.output)
    with closing(OutputIndex(Path(":memory:"), PRODUCT)) as index:
        checks = RecordChecks(result, rules)
        async for records in read_states(reader, emitted, rules.codec):
            index.add_emissions(records)
            checks.check(records)
        index.dead_letters_complete = True
        span = range(len(topics.source))
        resolver = DecisionResolver(rules, index, {0: span.stop})
        replay = ReplayChecks(result, rules, index)
        for each in decide_records(topics.source, 0, replayed, resolver):
            replay.check_emission(each)
            decided.append(each)
        replay.compare_rows(0, span, replayed, emitted)
    return result, decided


def faults(result: Audit) -> list[str]:
    """Return the texts of all faults."""
    return [text for check in result.checks for text in check.named]
