"""To which partition of `products` an event is re-submitted: that of its product's state."""

from collections import Counter
from zlib import crc32

from dedup.core.read import read_key
from dedup.core.row import read_output_key
from dedup.dlq.record import DeadLetterRecord
from dedup.dlq.topic import DlqError
from dedup.kafka.partitioning import partition_of_key
from dedup.kafka.topic_reader import open_topic
from dedup.settings import Settings

_CLEAR_SHARE = 0.9
"""The share of events that must be where a partitioner puts them for it to be the producers'."""


class Places:
    """Finds the partition of each event; what was found for a key is remembered.

    An event goes back to the partition it came from, which the letter's headers name: there is its
    product's state, however its producer partitions. With another key it is another product's, and
    goes to the partition of

    1. that product's state on `src_products`,
    2. else the newest event with that key,
    3. else where the producers put such a key, if the other events show it,
    4. else the one it came from.
    """

    def __init__(self, settings: Settings, partitions: int) -> None:
        self._settings = settings
        self._partitions = partitions
        self._found: dict[bytes, int | None] = {}

    async def of(self, letter: DeadLetterRecord, key: bytes | None) -> int:
        """Return the partition. Raises DlqError if there is none."""
        place = letter.source_partition
        if key is not None and (key != letter.key or place is None):
            found = await self._by_fact(key)
            place = place if found is None else found
        place = 0 if place is None else place
        if place >= self._partitions:
            raise DlqError(
                f"The dead letter {letter.position} came from partition {place}, and "
                f"{self._settings.KAFKA_PRODUCT_TOPIC} has {self._partitions} partitions: in "
                "another one its product would stand twice. Send the event by its producer, or "
                "replay the others by their positions."
            )
        return place

    async def _by_fact(self, key: bytes) -> int | None:
        if key not in self._found:
            product_id = read_key(key)
            state = None if product_id is None else await self._partition_of_state(product_id)
            self._found[key] = await self._partition_of_events(key) if state is None else state
        return self._found[key]

    async def _partition_of_state(self, product_id: int) -> int | None:
        """Return the partition of a product's row, or of its tombstone if it has none."""
        topic = self._settings.KAFKA_SRC_PRODUCTS_TOPIC
        newest: dict[int, tuple[bool, int]] = {}
        async with open_topic(self._settings, topic, "KAFKA_SRC_PRODUCTS_TOPIC") as states:
            async for partition, records in states.read():
                for record in records:
                    if read_output_key(record.key) == product_id:
                        newest[partition] = (record.value is not None, record.timestamp)
        rows = [partition for partition, (is_row, _) in newest.items() if is_row]
        if len(rows) > 1:
            raise DlqError(
                f"The product {product_id} has rows in the partitions {sorted(rows)} of {topic}: "
                "its producers partition differently, see `dedup verify`. Nothing is re-submitted."
            )
        return max(newest, key=newest.__getitem__, default=None)

    async def _partition_of_events(self, key: bytes) -> int | None:
        """Return the partition of the newest event with a key, or where others show it belongs."""
        topic = self._settings.KAFKA_PRODUCT_TOPIC
        newest: dict[int, int] = {}
        placed: Counter[str] = Counter()
        async with open_topic(self._settings, topic, "KAFKA_PRODUCT_TOPIC") as events:
            async for partition, records in events.read():
                for other, timestamp in {r.key: r.timestamp for r in records if r.key}.items():
                    if other == key:
                        newest[partition] = timestamp
                    placed["events"] += 1
                    placed["murmur2"] += partition_of_key(other, self._partitions) == partition
                    placed["crc32"] += crc32(other) % self._partitions == partition
        if newest:
            return max(newest, key=newest.__getitem__)
        clear = placed["events"] * _CLEAR_SHARE
        if clear and placed["murmur2"] >= clear:
            return partition_of_key(key, self._partitions)
        if clear and placed["crc32"] >= clear:
            return crc32(key) % self._partitions
        return None
