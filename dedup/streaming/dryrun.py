"""The dry run: what a worker needs in place of its publisher and its recovery to observe only.

Guarantees: nothing is written to `src_products` or to the dead-letter topic, and no offset is
committed but those of the dry run's own group. Each start begins where the known states of
production end: they are read from `src_products` into a RocksDB of the dry run's own, which from
then on has the states that the dry run decided on.
"""

from collections.abc import Collection, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError
from mode import Service, get_logger

from dedup.core.batch_result import Output
from dedup.kafka.admin import BrokersAwayError, TopicError
from dedup.kafka.broker_errors import brokers_away, refusal
from dedup.kafka.consumer import committed_consumer
from dedup.kafka.offsets import ends_of_states
from dedup.settings import Settings
from dedup.streaming.recovery import ChangelogReader

logger = get_logger(__name__)


class DryRunPublisher(Service):
    """Drops every output."""

    commits_offsets = False

    async def acquire(self, partitions: Collection[int]) -> None:
        """Fence nobody: production continues."""

    async def publish(self, output: Output) -> int | None:
        """Do nothing."""
        return None


class SeedReader(ChangelogReader):
    """Reads each partition of `src_products` once, when the partition comes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seeded: set[int] = set()

    async def restore(self, partitions: Sequence[int]) -> int:
        """See `ChangelogReader.restore`; what is seeded already keeps the dry run's own states."""
        self._seeded &= set(partitions)
        fresh = sorted(set(partitions) - self._seeded)
        for partition in fresh:
            self._table.data.rebuild(partition)
        read = await super().restore(fresh)
        self._seeded.update(fresh)
        for partition in partitions:
            self._table.data.partition(partition)
        return read


async def observe_from_known_states(production: Settings, dry_run: Settings) -> None:
    """Commit, for the dry run's group, the offsets at which the known states end.

    Raises ReadError, TopicError. The group of another dry run that is running stays where it is.
    """
    positions = await ends_of_states(production)
    source = dry_run.KAFKA_PRODUCT_TOPIC
    offsets = {TopicPartition(source, partition): at for partition, at in positions.items()}
    group = dry_run.DEDUP_APP_ID
    try:
        async with committed_consumer(dry_run, group_id=group) as consumer:
            consumer.assign(list(offsets))
            await consumer.commit(offsets)
    except CommitFailedError:
        logger.info("Dry run: the group %s is running already and is joined.", group)
    except KafkaError as error:
        why = refusal(error, dry_run, permission="READ")
        kind = BrokersAwayError if brokers_away(error) else TopicError
        raise kind(f"The dry run can't start: {why}") from error
    logger.info(
        "Dry run: nothing is written. %s is observed as the group %s from %s on.",
        source,
        group,
        positions,
    )
