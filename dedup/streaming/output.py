"""Whoever makes the output of a batch durable, and how that can fail."""

from collections.abc import Collection
from typing import Protocol

from dedup.core.batch_result import Output
from dedup.core.errors import ExplainedError


class PublishError(ExplainedError):
    """The output can't be made durable; the text says why and what to do."""


class FencedError(PublishError):
    """Another worker owns the partition now; nothing of the output counts."""


class Publisher(Protocol):
    """Whatever makes an output durable."""

    async def acquire(self, partitions: Collection[int]) -> None:
        """Acquire these source partitions and release all others.

        Returns when nothing that another worker sends for them can become durable any more, as far
        as this publisher promises that. Raises KafkaError when the brokers are away: retry then.
        Raises PublishError when they refuse.
        """

    async def publish(self, output: Output) -> int | None:
        """Return once the output is durable.

        Returns the offset on `src_products` after the last state, None when there was none. Raises
        PublishError when the output can't be made durable.
        """
