from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from dedup.core.keys import Id
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from dedup.state.memory import Memory
from dedup.state.row_keys import RowKeys
from dedup.state.store import PartitionStore
from dedup.state.store_errors import StoreError
from tests.agent.conftest import Bench

ROW = State(b"f" * 21, 5, 0, 7, 100, 3, b'{"product_id":1}')
KEYS = RowKeys(PRODUCT)
DELETED = State(bytes(21), 6, 0, 8, 200, 0, None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tables" / "products-0"


def test_what_is_written_is_read_back_after_a_restart(path: Path) -> None:
    store = PartitionStore(path, Memory(), KEYS)
    store.write({1: ROW, 2: DELETED}, next_offset=12, now_us=9)
    store.close()

    store = PartitionStore(path, Memory(), KEYS)
    progress = store.progress()
    assert progress is not None
    assert (progress.next_offset, progress.written_at_us) == (12, 9)
    assert store.read([2, 1, 3]) == {1: ROW, 2: DELETED}
    store.close()


def test_the_offset_stays_when_nothing_was_emitted(path: Path) -> None:
    store = PartitionStore(path, Memory(), KEYS)
    store.write({1: ROW}, next_offset=12, now_us=9)
    store.write({1: structs.replace(ROW, duplicates=4)}, next_offset=None, now_us=10)

    progress = store.progress()
    assert progress is not None
    assert progress.next_offset == 12
    assert store.read([1])[1].duplicates == 4
    store.close()


def test_an_empty_store_follows_nothing(path: Path) -> None:
    store = PartitionStore(path, Memory(), KEYS)
    assert store.progress() is None
    store.close()


def test_items_come_by_product_id_from_any_one_on(path: Path) -> None:
    store = PartitionStore(path, Memory(), KEYS)
    store.write({300: ROW, 2: DELETED, 2**63 - 1: ROW}, next_offset=1, now_us=1)

    assert [i for i, _ in store.items()] == [2, 300, 2**63 - 1]
    assert [i for i, _ in store.scan(3)] == [300, 2**63 - 1]
    store.close()


def test_old_deletion_markers_are_removed_and_products_that_came_back_are_not(path: Path) -> None:
    store = PartitionStore(path, Memory(), KEYS)
    store.write({1: DELETED, 2: DELETED}, next_offset=1, now_us=1)
    store.write({2: ROW}, next_offset=2, now_us=2)

    assert store.forget_deleted(before_us=200) == 0
    assert store.forget_deleted(before_us=201) == 1
    assert [i for i, _ in store.items()] == [2]
    store.close()


@settings(deadline=None, max_examples=30)  # each opens two databases
@given(
    writes=st.lists(st.dictionaries(st.integers(1, 12), st.integers(0, 9), max_size=6), max_size=8)
)
def test_states_in_memory_are_those_that_rocksdb_has_after_a_restart(
    writes: list[dict[int, int]],
) -> None:
    """Few are kept in memory, so that most reads mix both; a second look finds none there."""
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "states_of_partition", 4)
        path = Path(directory) / "products-0"
        store, expected = PartitionStore(path, Memory(), KEYS), dict[Id, State]()
        for number, write in enumerate(writes):
            states: dict[Id, State] = {
                i: structs.replace(ROW, duplicates=n, offset=number) for i, n in write.items()
            }
            store.write(states, next_offset=number + 1, now_us=1)
            expected |= states
            assert store.read(range(1, 14)) == expected
        store.close()
        store = PartitionStore(path, Memory(), KEYS)
        assert store.read(range(1, 14)) == expected
        store.close()


def test_a_forgotten_product_is_not_in_memory_either(path: Path) -> None:
    store = PartitionStore(path, Memory(), KEYS)
    store.write({1: DELETED}, next_offset=1, now_us=1)
    assert store.forget_deleted(before_us=201) == 1
    assert store.read([1]) == {}
    store.close()


def test_a_directory_in_use_is_refused_with_the_cure(path: Path) -> None:
    store = PartitionStore(path, Memory(), KEYS)
    with pytest.raises(StoreError, match=r"locked by another process.*DEDUP_DATA_DIR"):
        PartitionStore(path, Memory(), KEYS)
    store.close()


async def test_a_changelog_whose_offsets_went_back_is_not_gone_on_with(bench: Bench) -> None:
    bench.table.write(0, {1: ROW}, next_offset=20, now_us=1)

    with pytest.raises(StoreError, match="src_products was recreated"):
        bench.table.write(0, {2: ROW}, next_offset=3, now_us=2)
    assert bench.table.read(0, [2]) == {}


async def test_the_table_is_written_by_the_processor_alone(bench: Bench) -> None:
    with pytest.raises(TypeError, match="written by the processor"):
        bench.table[1] = ROW
    with pytest.raises(TypeError, match="written by the processor"):
        del bench.table[1]
    assert bench.table.read(0, [1]) == {}


async def test_partitions_that_went_to_another_worker_are_closed(bench: Bench) -> None:
    for partition in range(3):
        bench.table.write(partition, {1: ROW}, next_offset=1, now_us=1)
    bench.table.data.close_others([1])

    assert bench.table.data.open_partitions == [1]
