"""Recognises dead letters that are on their topic already, where the group's offsets are gone.

Offsets expire (`offsets.retention.minutes`), and a group with a new name has none: the source is
read from its beginning. Events that were applied are recognised by their product's state. Dead
letters have no state; each is recognised on its topic by source offset, key and value, so that
those of a source topic that was since recreated hide none of today's.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping

from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from mode import get_logger

from dedup.core.batch_result import OutputRecord
from dedup.dlq.topic import open_dead_letters
from dedup.kafka.topic_reader import ReadError
from dedup.settings import Settings

logger = get_logger(__name__)


class WrittenDeadLetters:
    """The dead letters of one source partition, as eight bytes each."""

    def __init__(self, identities: Collection[int]) -> None:
        self._identities = array("q", sorted(identities))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._identities)

    def has(self, offset: int, letter: OutputRecord) -> bool:
        """Return whether the dead letter of an event at a source offset is among them."""
        identity = _identity(offset, letter.key, letter.value)
        at = bisect_left(self._identities, identity)
        return at < len(self._identities) and self._identities[at] == identity


async def look_back(
    settings: Settings, without: Mapping[int, bool], known: Callable[[Collection[int]], bool]
) -> Mapping[int, WrittenDeadLetters]:
    """Return the dead letters of source partitions without committed offsets; log what that means.

    `without` says which of them have records, `known` whether some of them have states.
    Raises KafkaError when the dead letters can't be read now.
    """
    afresh = sorted(partition for partition, has_records in without.items() if has_records)
    written = await _written_dead_letters(settings, afresh) if afresh else {}
    count = sum(map(len, written.values()))
    if count or (afresh and known(afresh)):
        logger.warning(
            "The group %s has no committed offsets for the partitions %s of %s, but their "
            "results are known: the offsets expired (offsets.retention.minutes of the brokers), "
            "or DEDUP_APP_ID is new. They are read from the beginning; events that were applied "
            "are recognised, and %s dead letters on %s are not written again.",
            settings.DEDUP_APP_ID,
            afresh,
            settings.KAFKA_PRODUCT_TOPIC,
            count,
            settings.KAFKA_DLQ_TOPIC,
        )
    elif without:
        logger.info(
            "The group %s has no committed offsets for the partitions %s of %s: they are read from "
            "the beginning.",
            settings.DEDUP_APP_ID,
            sorted(without),
            settings.KAFKA_PRODUCT_TOPIC,
        )
    return written


async def _written_dead_letters(
    settings: Settings, partitions: Collection[int]
) -> Mapping[int, WrittenDeadLetters]:
    found: dict[int | None, array[int]] = {partition: array("q") for partition in partitions}
    try:
        async with open_dead_letters(settings) as dead_letters:
            async for letter in dead_letters.read():
                partition, offset = letter.source_partition, letter.source_offset
                of_source = letter.source_topic == settings.KAFKA_PRODUCT_TOPIC
                if of_source and offset is not None and partition in found:
                    found[partition].append(_identity(offset, letter.key, letter.value))
    except ReadError as error:
        if not isinstance(error.__cause__, TopicAuthorizationFailedError):
            raise KafkaConnectionError(str(error)) from error
        logger.warning("Dead letters may be duplicated: %s", error)
    return {partition: WrittenDeadLetters(found[partition]) for partition in partitions}


def _identity(offset: int, key: bytes | None, value: bytes | None) -> int:
    return hash((offset, key, value))
