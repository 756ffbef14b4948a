"""The partition that clients choose by a record's key, unless a producer chooses it itself.

Kafka's own clients hash keys by murmur2; those on librdkafka (confluent-kafka for Python, Go and
.NET, node-rdkafka) by CRC32 by default. So this is a guess: only the topics show where a key
is.
"""

from zlib import crc32

from aiokafka.partitioner import murmur2


def key_hash(key: bytes) -> int:
    """Return the hash of a record key, from which its partition follows."""
    return int(murmur2(key)) & 0x7FFFFFFF


def partition_of_key(key: bytes, partitions: int) -> int:
    """Return the partition of a record key."""
    return key_hash(key) % partitions


def how_placed(key: bytes | None, partition: int, partitions: int) -> str:
    """Return which clients put events with a key into a partition, in words; None: any key."""
    if key is None:
        return "its events have keys of several forms"
    by = {
        "Kafka's own clients (murmur2)": partition_of_key(key, partitions),
        "librdkafka's (CRC32)": crc32(key) % partitions,
    }
    names = [name for name, place in by.items() if place == partition]
    return f"as {' and '.join(names)} place it" if names else "placed by neither murmur2 nor CRC32"
