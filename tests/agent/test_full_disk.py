"""What is left of a store, and what is said of it, when its disk is full."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dedup.core.keys import Id
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from dedup.state.database_files import damage_mark
from dedup.state.memory import Memory
from dedup.state.row_keys import RowKeys
from dedup.state.store import PartitionStore
from dedup.state.store_errors import StoreError
from tests.support.disks import enlarge, small_disk

KEYS = RowKeys(PRODUCT)
KNOWN: dict[Id, State] = {1: State(b"f" * 21, 5, 0, 7, 100, 3, b'{"product_id":1}')}
WIDE: dict[Id, State] = {
    i: State(b"f" * 21, 5, 0, 7, 100, 3, random.Random(i).randbytes(4_096)) for i in range(2, 2_000)
}
USES: dict[str, Callable[[PartitionStore], object]] = {
    "a batch": lambda store: store.write(KNOWN, next_offset=9, now_us=1),
    "the timer": PartitionStore.flush_if_due,
    "a page": lambda store: list(store.scan(1)),
    "a count": lambda store: store.row_count.count_some(10),
    "recovery": lambda store: list(store.items()),
    "deletion markers": lambda store: store.forget_deleted(10**18),
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as path:
        yield path


def opened(disk: Path) -> PartitionStore:
    return PartitionStore(disk / "products-0", Memory(), KEYS)


def test_every_use_after_a_full_disk_names_it_and_what_was_persisted_stays(disk: Path) -> None:
    store = opened(disk)
    store.write(KNOWN, next_offset=1, now_us=1, source_offset=1)
    store.flush()
    store.persist()
    store.write(WIDE, next_offset=2_000, now_us=1, source_offset=2_000)
    store.flush()
    with pytest.raises(StoreError, match=r"disk is full: free some space") as first:
        store.persist()

    for use in USES.values():
        with pytest.raises(StoreError) as again:
            use(store)
        assert str(again.value) == str(first.value)
    store.close()
    assert not damage_mark(store.path).exists()
    enlarge(disk)
    found = opened(disk)
    assert (dict(found.items()), found.source_offset) == (KNOWN, 1)
    found.close()
