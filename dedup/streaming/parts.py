"""The parts of a worker that depend on what its topics are."""

from dataclasses import dataclass

from dedup.core.decide import Rules
from dedup.streaming.dryrun import DryRunPublisher
from dedup.streaming.processor import Deduplicator
from dedup.streaming.publisher import KafkaPublisher
from dedup.streaming.recovery import ChangelogReader


@dataclass(frozen=True, slots=True)
class Parts:
    """What decides, publishes and recovers: built as a whole once the topics are known.

    `partitions` is the number of partitions of the source topic. `publisher` is the service that
    writes to Kafka, also where a test gives the deduplicator a publisher of its own.
    """

    partitions: int
    rules: Rules
    publisher: KafkaPublisher | DryRunPublisher
    deduplicator: Deduplicator
    changelog_reader: ChangelogReader
