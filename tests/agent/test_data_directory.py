"""Data directories of another worker or of other topics, and products in other partitions."""

from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.partitioner import murmur2

from dedup.state.data_directory import DataDirectory, Origin, partitions_before, placed_by_json_key
from dedup.state.store_errors import StoreError

ORIGIN = Origin("cluster", "products", "src_products", 4)


def directory(path: Path) -> DataDirectory:
    (path / "tables").mkdir(exist_ok=True)
    return DataDirectory(path, path / "tables")


def test_two_workers_never_share_a_directory(tmp_path: Path) -> None:
    first, second = directory(tmp_path), directory(tmp_path)
    first.lock()
    with pytest.raises(StoreError, match=r"locked by another worker.*set DEDUP_DATA_DIR"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


@pytest.mark.parametrize("change", [{"cluster": "other"}, {"states": "other"}, {"partitions": 2}])
def test_states_of_other_topics_are_thrown_away(
    tmp_path: Path, change: dict[str, str | int]
) -> None:
    found = directory(tmp_path)
    found.belong_to(ORIGIN)
    (tmp_path / "tables" / "products-0").mkdir()
    found.belong_to(ORIGIN)
    assert (tmp_path / "tables" / "products-0").exists()

    found.belong_to(replace(ORIGIN, **change))  # type: ignore[arg-type]
    assert not (tmp_path / "tables" / "products-0").exists()


def test_more_partitions_than_the_states_were_made_with_are_refused(tmp_path: Path) -> None:
    directory(tmp_path).belong_to(ORIGIN)

    for _ in range(2):
        with pytest.raises(
            StoreError, match=r"products has 6 partitions, and .* of 4\. When a topic grows"
        ):
            directory(tmp_path).belong_to(replace(ORIGIN, partitions=6))


def keys_in(partition: int, partitions: int, count: int = 50) -> list[bytes]:
    """The keys of the first products that Kafka's partitioner puts into a partition."""
    found = (key for i in range(1, 100_000) if _hash(key := b"%d" % i) % partitions == partition)
    return [next(found) for _ in range(count)]


def _hash(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF


@pytest.mark.parametrize(("before", "now"), [(4, 6), (4, 8), (2, 3), (3, 4)])
def test_the_products_of_a_partition_tell_how_many_there_were(before: int, now: int) -> None:
    for partition in range(before):
        assert partitions_before(keys_in(partition, before), partition, now) == before
    for partition in range(now):
        assert partitions_before(keys_in(partition, now), partition, now) is None


def test_products_placed_by_another_rule_tell_nothing() -> None:
    assert partitions_before([b"%d" % i for i in range(1, 200)], 1, 4) is None
    assert partitions_before(keys_in(1, 4, 5), 1, 6) is None


@pytest.mark.parametrize("partitions", [2, 3, 4, 6])
def test_products_placed_by_their_json_keys_are_told_from_those_of_their_events(
    partitions: int,
) -> None:
    for partition in range(partitions):
        keys = (b'{"product_id":%d}' % i for i in range(1, 2_000))
        placed = [key for key in keys if _hash(key) % partitions == partition]
        assert placed_by_json_key(placed[:50], partition, partitions)
        assert not placed_by_json_key(placed[:5], partition, partitions)
        as_events = [b'{"product_id":%b}' % key for key in keys_in(partition, partitions)]
        assert not placed_by_json_key(as_events, partition, partitions)
