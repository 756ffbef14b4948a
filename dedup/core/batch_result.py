"""What a batch of one source partition was, and what its decisions come to.

The processor makes one `BatchResult` for each batch. The publisher takes its `output`, the store
its `states`, and once both are durable every observer receives the result as a whole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from dedup.core.batch import Emission
from dedup.core.dead_letter import Header, Reason
from dedup.core.decision import Outcome, ProcessingTime
from dedup.core.keys import Id
from dedup.core.records import output_headers
from dedup.core.state import State


class SourceRecord(Protocol):
    """A record as it was fetched; `timestamp` is in milliseconds since the epoch."""

    @property
    def offset(self) -> int: ...  # noqa: D102 - Kafka's words, as are those below
    @property
    def timestamp(self) -> int: ...  # noqa: D102
    @property
    def timestamp_type(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> bytes | None: ...  # noqa: D102
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...  # noqa: D102


class OutputRecord(msgspec.Struct, frozen=True, gc=False):
    """A record for `src_products` or for the dead-letter topic, in bytes."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class RowFormat(NamedTuple):
    """How the record of an emission is written: its key, and the headers that all of them have."""

    key_of: Callable[[Id], bytes]
    shared_headers: Sequence[Header] = ()

    def record(self, emission: Emission) -> OutputRecord:
        """Return the record of an emission."""
        row_id, state = emission
        headers = [*output_headers(state), *self.shared_headers]
        return OutputRecord(self.key_of(row_id), state.row, headers)


@dataclass
class Output:
    """What a batch of one source partition writes to Kafka.

    `emissions` go to the same partition of `src_products`, in order and written by `row_format`:
    whoever writes them makes the records. `first_offset` is that of the batch's first record,
    `source_offset` the one after the batch. The decisions are based on the states on `src_products`
    before `states_offset`.
    """

    partition: int
    first_offset: int
    source_offset: int
    states_offset: int
    timestamp_ms: int
    row_format: RowFormat
    emissions: Sequence[Emission] = ()
    dead_letters: list[OutputRecord] = field(default_factory=list)

    @property
    def states(self) -> list[OutputRecord]:
        """The records of the emissions."""
        return [self.row_format.record(emission) for emission in self.emissions]


class Rejection(NamedTuple):
    """A dead letter of a batch: the offset of its event, and what is wrong with it."""

    offset: int
    message: str


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A batch, the states before it, and what was decided.

    Records, the states before and the clock are all that the pure decision depends on beside the
    rules: any decision of the batch can be recomputed from them, so nothing is kept for each event.
    `named` has the id that each key of the batch names, None for one that names none. `before` has
    the known states of these ids, `states` those that the batch changed, as they are after it.
    `rejected` has the newest dead letter of each reason, `rows_added` the change in the number of
    rows that are known and not deleted, `forgotten` the number of entries that windows lost because
    there were too many.

    `seconds` is the processing time of the batch, `oldest_age_s` the time since the timestamp of
    its oldest event, None where that can't be true; both up to durability.
    """

    partition: int
    records: Sequence[SourceRecord]
    clock: ProcessingTime
    named: Mapping[bytes | None, Id | None]
    before: Mapping[Id, State]
    states: Mapping[Id, State]
    output: Output
    outcomes: Mapping[Outcome, int]
    reasons: Mapping[Reason, int]
    rejected: Mapping[Reason, Rejection]
    offset_regressions: int = 0
    rows_added: int = 0
    forgotten: int = 0
    seconds: float = 0.0
    oldest_age_s: float | None = None
