"""Retries an output whose producer failed.

The state of a failed transaction is unknown: it may be open, aborted, or committed. A new producer
of the same transactional id makes the brokers end it; then its outcome is queried, and only an
aborted output is sent again.

Guarantee: whichever response was lost, an output is on its topics once. A worker that no longer
owns the partition starts no producer, which would fence the one of the next owner; and where that
owner has committed anything, the output is dropped.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownProducerId,
)
from mode import get_logger

from dedup.core.batch_result import Output
from dedup.kafka.broker_errors import brokers_away
from dedup.kafka.patience import Patience
from dedup.settings import Settings
from dedup.streaming.outcome import Ending, ending_by_offset, ending_by_states

STEP_WITHIN_S: Final = 60.0
"""How long one retry may take: to stop a producer, start one, query the outcome, publish."""

FENCES: Final = 3
"""How often a producer may be fenced in one output while the worker owns the partition."""

_CURED_BY_A_NEW_PRODUCER: Final = (
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownProducerId,
)
"""Such as after a week without events, when the brokers have forgotten the producer, or after a
pause in a transaction that was longer than its timeout: no wait is needed."""

logger = get_logger(__name__)


class Attempts(Protocol):
    """What publishes an output once."""

    is_member: Callable[[], Awaitable[bool]] | None
    """Whether this worker still owns its partitions in the group; None where there is no group.
    Raises KafkaError."""

    async def adapt(self, error: Exception) -> bool:
        """Return whether a new producer will send what the topics refused, in smaller batches."""

    async def recreate(self, partition: int) -> AIOKafkaProducer:
        """Start a new producer of a partition in place of the one it has."""

    async def attempt(self, output: Output) -> int | None:
        """Publish in one transaction."""


async def publish_again(
    attempts: Attempts, settings: Settings, output: Output, error: Exception, patience: Patience
) -> int | None:
    """Publish an output whose attempt ended in `error`; retry while time may cure it.

    Raises ProducerFenced when the partition is another worker's, and the last error when it is
    refused for good or the time is up.
    """
    fenced = 0
    while True:
        adapted = await attempts.adapt(error)
        if isinstance(error, KafkaError) and not brokers_away(error) and not adapted:
            raise error
        fenced += isinstance(error, ProducerFenced)
        if fenced > FENCES or (fenced and attempts.is_member is None):
            raise error
        if adapted or fenced or isinstance(error, _CURED_BY_A_NEW_PRODUCER):
            logger.info("Partition %s gets a new producer: %r", output.partition, error)
        else:
            await patience.wait(error)
        try:
            async with asyncio.timeout(STEP_WITHIN_S):
                next_offset = await _retry(attempts, settings, output)
        except _OvertakenError:
            raise
        except (KafkaError, TimeoutError) as again:
            error = again
        else:
            patience.over()
            return next_offset


async def _retry(attempts: Attempts, settings: Settings, output: Output) -> int | None:
    if attempts.is_member is not None and not await attempts.is_member():
        raise _OvertakenError
    producer = await attempts.recreate(output.partition)
    if settings.DEDUP_GUARANTEE == "exactly_once":
        ending = await ending_by_offset(settings, producer, output)
    else:
        ending = await ending_by_states(settings, output)
    if ending is Ending.OVERTAKEN:
        raise _OvertakenError
    if ending is Ending.COMMITTED:
        return None  # the offset of its states on the topic is unknown; recovery reads it
    return await attempts.attempt(output)


class _OvertakenError(ProducerFenced):  # type: ignore[misc]  # aiokafka ships no types
    """The partition is another worker's, whatever this one's producer may still do."""
