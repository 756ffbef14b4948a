"""A batch of records of one partition, as one message of Faust."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from faust import Schema
from faust.types import TP, AppT, Message

from dedup.core.batch_result import SourceRecord
from dedup.kafka.unread_records import FetchedBatch

GROWS_BELOW_BYTES: Final = 512 * 1024
GROWS_BELOW_RECORDS: Final = 2_000
"""What a batch may have, before it is begun, to take one more fetch: bytes as fetched, and
records - deletes have no value."""


@dataclass(eq=False)
class RecordBatch:
    """Records of one partition, in order, to be processed as a whole.

    There are none where the partition has only aborted records and transaction markers: then the
    committed offset alone moves on.

    `next_offset` is the source offset after the batch, `size_bytes` that of its fetches. Until
    `begin` is called, it may grow. Call `mark_done` once every effect of the batch is durable; no
    part of it is committed before that. `on_done` is called then.
    """

    tp: TP
    records: list[SourceRecord]
    next_offset: int
    on_done: Callable[[], None]
    done: bool = False
    begun: bool = False
    size_bytes: int = 0
    since: float = field(default_factory=monotonic)

    def begin(self) -> None:
        """Note that processing has started: the batch no longer grows."""
        self.begun = True

    @property
    def start(self) -> int:
        """Return the offset at which it begins; of one without records, the last that it has."""
        return self.records[0].offset if self.records else self.next_offset - 1

    @property
    def grows(self) -> bool:
        """Return whether the next records of the partition can become part of this batch."""
        small = self.size_bytes < GROWS_BELOW_BYTES and len(self.records) < GROWS_BELOW_RECORDS
        return small and not (self.begun or self.done)

    def add(self, chunk: FetchedBatch) -> None:
        """Append what follows in the partition."""
        self.records += chunk.records
        self.next_offset = chunk.end
        self.size_bytes += chunk.size_bytes

    def mark_done(self) -> None:
        """Note that every effect of this batch is durable."""
        self.done = True
        self.on_done()


class BatchSchema(Schema[None, RecordBatch]):
    """Passes a `RecordBatch` through as it is."""

    def loads_key(self, app: AppT, message: Message, **_: Any) -> Any:
        """Return the key: a batch has none."""
        return message.key

    def loads_value(self, app: AppT, message: Message, **_: Any) -> Any:
        """Return the value: the batch."""
        return message.value
