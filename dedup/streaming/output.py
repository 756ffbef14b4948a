"""What a batch puts on Kafka, and whoever makes it durable there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from dedup.core.errors import ExplainedError


class OutputRecord(msgspec.Struct, frozen=True, gc=False):
    """A record for `src_products` or for the dead letters, in bytes."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass
class Output:
    """What a batch of one source partition puts on Kafka.

    `states` go to the same partition of `src_products`, in order. `first_offset` is that of the
    batch's first record, `source_offset` the one after the batch. The states were decided on from
    those on `src_products` before `states_offset`.
    """

    partition: int
    first_offset: int
    source_offset: int
    states_offset: int
    timestamp_ms: int
    states: list[OutputRecord] = field(default_factory=list)
    dead_letters: list[OutputRecord] = field(default_factory=list)


class PublishError(ExplainedError):
    """The output can't be made durable; the text says why and what to do."""


class FencedError(PublishError):
    """Another worker owns the partition now; nothing of the output counts."""


class Publisher(Protocol):
    """Whatever makes an output durable."""

    async def acquire(self, partitions: Collection[int]) -> None:
        """Take over these source partitions and release all others.

        Returns when nothing that another worker sends for them can become durable any more, as far
        as this publisher promises that. Raises KafkaError when the brokers are away: call it again
        then. Raises PublishError when they refuse.
        """

    async def publish(self, output: Output) -> int | None:
        """Return once the output is durable.

        Gives the offset on `src_products` after the last state, None when there was none. Raises
        PublishError when the output can't be made durable.
        """
