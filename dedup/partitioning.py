"""Where Kafka's own clients put a record: which partition a key, and so a product, belongs to."""

from aiokafka.partitioner import murmur2


def key_hash(key: bytes) -> int:
    """Give the hash of a record key, from which its partition follows."""
    return int(murmur2(key)) & 0x7FFFFFFF


def partition_of_key(key: bytes, partitions: int) -> int:
    """Give the partition of a record key."""
    return key_hash(key) % partitions


def partition_of_product(product_id: int, partitions: int) -> int:
    """Give the partition of a product's events, and so of its rows."""
    return partition_of_key(b"%d" % product_id, partitions)
