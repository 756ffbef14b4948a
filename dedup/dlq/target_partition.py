"""Chooses the partition of `products` to which an event is re-submitted."""

from collections import Counter
from zlib import crc32

from dedup.core.keys import Id
from dedup.dlq.record import DeadLetterRecord
from dedup.kafka.partitioning import partition_of_key
from dedup.kafka.topic_reader import ReadError, open_topic
from dedup.rules import codec_of
from dedup.settings import Settings

_CLEAR_SHARE = 0.9
"""The share of events that a partitioner must explain to be taken for that of the producers."""


class TargetPartitions:
    """Finds the partition for each event, and caches it by key.

    An event goes back to the partition it came from, which the headers of its dead letter name: the
    state of its product is there, whichever partitioner its producer uses. With another key it is
    an event of another product, and goes to the partition of

    1. that product's state on `src_products`,
    2. else the newest event with that key,
    3. else the one the producers' partitioner chooses, if the other events show which it is,
    4. else the one it came from.
    """

    def __init__(self, settings: Settings, partitions: int) -> None:
        self._settings = settings
        self._codec = codec_of(settings)
        self._partitions = partitions
        self._found: dict[bytes, int | None] = {}

    async def find(self, letter: DeadLetterRecord, key: bytes | None) -> int:
        """Return the partition. Raises ReadError if there is none."""
        partition = letter.source_partition
        if key is not None and (key != letter.key or partition is None):
            found = await self._known_partition(key)
            partition = partition if found is None else found
        partition = 0 if partition is None else partition
        if partition >= self._partitions:
            raise ReadError(
                f"The dead letter {letter.position} came from partition {partition}, and "
                f"{self._settings.KAFKA_PRODUCT_TOPIC} has {self._partitions} partitions: in "
                "another partition its product would exist twice. Send the event with its "
                "producer, or replay the others by their positions."
            )
        return partition

    async def _known_partition(self, key: bytes) -> int | None:
        if key not in self._found:
            row_id = self._codec.keys.read(key)
            state = None if row_id is None else await self._partition_of_state(row_id)
            self._found[key] = await self._partition_of_events(key) if state is None else state
        return self._found[key]

    async def _partition_of_state(self, row_id: Id) -> int | None:
        """Return the partition of an id's row, or of its tombstone if it has no row."""
        topic = self._settings.KAFKA_SRC_PRODUCTS_TOPIC
        newest: dict[int, tuple[bool, int]] = {}
        async with open_topic(self._settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as states:
            async for partition, records in states.read():
                for record in records:
                    if self._codec.keys.read_output(record.key) == row_id:
                        newest[partition] = (record.value is not None, record.timestamp)
        rows = [partition for partition, (is_row, _) in newest.items() if is_row]
        if len(rows) > 1:
            raise ReadError(
                f"The {self._codec.entity.name} {row_id} has rows in the partitions {sorted(rows)} "
                f"of {topic}: its producers partition differently, see `dedup verify`. Nothing is "
                "re-submitted."
            )
        return max(newest, key=newest.__getitem__, default=None)

    async def _partition_of_events(self, key: bytes) -> int | None:
        """Return the partition of the newest event with a key, or that of the partitioner."""
        topic = self._settings.KAFKA_PRODUCT_TOPIC
        newest: dict[int, int] = {}
        matches: Counter[str] = Counter()
        async with open_topic(self._settings, topic, "KAFKA_PRODUCT_TOPIC") as events:
            async for partition, records in events.read():
                for other, timestamp in {r.key: r.timestamp for r in records if r.key}.items():
                    if other == key:
                        newest[partition] = timestamp
                    matches["events"] += 1
                    matches["murmur2"] += partition_of_key(other, self._partitions) == partition
                    matches["crc32"] += crc32(other) % self._partitions == partition
        if newest:
            return max(newest, key=newest.__getitem__)
        clear = matches["events"] * _CLEAR_SHARE
        if clear and matches["murmur2"] >= clear:
            return partition_of_key(key, self._partitions)
        if clear and matches["crc32"] >= clear:
            return crc32(key) % self._partitions
        return None
