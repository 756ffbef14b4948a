"""What a batch of one source partition was, and what its decisions come to.

The processor makes one `BatchResult` for each batch. The publisher takes its `output`, the store
its `states`, and once both are durable every observer receives the result as a whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from dedup.core.dead_letter import Reason
from dedup.core.keys import Id
from dedup.core.ruling import Outcome, ProcessingTime
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


@dataclass
class Output:
    """What a batch of one source partition writes to Kafka.

    `states` go to the same partition of `src_products`, in order. `first_offset` is that of the
    batch's first record, `source_offset` the one after the batch. The decisions are based on the
    states on `src_products` before `states_offset`.
    """

    partition: int
    first_offset: int
    source_offset: int
    states_offset: int
    timestamp_ms: int
    states: list[OutputRecord] = field(default_factory=list)
    dead_letters: list[OutputRecord] = field(default_factory=list)


class Rejection(NamedTuple):
    """A dead letter of a batch: the offset of its event, and what is wrong with it."""

    offset: int
    message: str


@dataclass(frozen=True, slots=True)
class BatchResult:
    """A batch, the states before and after it, and what was decided.

    Records, the states before and the clock are all that the pure decision depends on beside the
    rules: any decision of the batch can be recomputed from them, so nothing is kept for each event.
    `named` has the id that each key of the batch names, None for one that names none. `before` and
    `after` cover these ids; `states` are those of `after` that the batch changed. `emitted` has the
    id of each of `output.states`, `rejected` the newest dead letter of each reason.

    `seconds` is the processing time of the batch, `oldest_age_s` the time since the timestamp of
    its oldest event, None where that can't be true; both up to durability.
    """

    partition: int
    records: Sequence[SourceRecord]
    clock: ProcessingTime
    named: Mapping[bytes | None, Id | None]
    before: Mapping[Id, State]
    after: Mapping[Id, State]
    states: Mapping[Id, State]
    output: Output
    emitted: Sequence[Id]
    outcomes: Mapping[Outcome, int]
    reasons: Mapping[Reason, int]
    rejected: Mapping[Reason, Rejection]
    offset_regressions: int = 0
    seconds: float = 0.0
    oldest_age_s: float | None = None
