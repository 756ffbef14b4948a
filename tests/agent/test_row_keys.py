"""The keys of states in RocksDB: their order is that of the ids, and they meet no other keys."""

import struct
from pathlib import Path
from typing import Annotated, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs
from pydantic import BaseModel, Field

from dedup.core.entity import Entity, Wrapped
from dedup.core.keys import Id
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from dedup.state.memory import Memory
from dedup.state.row_keys import FIRST_OTHER_KEY, RowKeys
from dedup.state.store import PartitionStore
from tests.core.orders import FLAT


class Account(BaseModel):
    """A row whose id may be negative."""

    account_id: int
    name: Annotated[str, Field(max_length=10)]


ACCOUNT: Final = Entity(
    name="account", model=Account, id="account_id", envelope=Wrapped(payload="account", time="at")
)
PRODUCTS, ACCOUNTS, ORDERS = RowKeys(PRODUCT), RowKeys(ACCOUNT), RowKeys(FLAT)
SIGNED: Final = st.integers(-(2**63), 2**63 - 1)
TEXTS: Final = st.text(max_size=20) | st.sampled_from(["", "\xfe", "\xff", "\U0010ffff", "\x00"])
ROW: Final = State(b"f" * 21, 5, 0, 7, 100, 3, b'{"order_id":"a"}')
DELETED: Final = State(bytes(21), 6, 0, 8, 200, 0, None)


@pytest.mark.parametrize("row_id", [1, 7, 300, 2**63 - 1])
def test_an_id_that_is_never_negative_has_the_key_of_earlier_versions(row_id: int) -> None:
    """Data directories of products outlive releases."""
    assert PRODUCTS.write(row_id) == struct.pack(">Q", row_id) == row_id.to_bytes(8, "big")


@given(one=st.integers(0, 2**63 - 1), other=st.integers(0, 2**63 - 1))
def test_keys_of_products_are_in_the_order_of_the_ids(one: int, other: int) -> None:
    assert (PRODUCTS.write(one) < PRODUCTS.write(other)) == (one < other)


@given(one=SIGNED, other=SIGNED)
@example(one=-1, other=0)
@example(one=-(2**63), other=2**63 - 1)
def test_keys_of_signed_ids_are_in_the_order_of_the_ids(one: int, other: int) -> None:
    assert (ACCOUNTS.write(one) < ACCOUNTS.write(other)) == (one < other)


@given(one=TEXTS, other=TEXTS)
def test_keys_of_texts_are_in_the_order_of_their_characters(one: str, other: str) -> None:
    assert (ORDERS.write(one) < ORDERS.write(other)) == (one < other)


@given(row_id=SIGNED, product_id=st.integers(0, 2**63 - 1), text=TEXTS)
@example(row_id=-(2**63), product_id=0, text="")
@example(row_id=2**63 - 1, product_id=2**63 - 1, text="\U0010ffff")
def test_a_key_is_read_back_and_is_below_all_other_keys(
    row_id: int, product_id: int, text: str
) -> None:
    """Those of deletion markers begin with 0xfe, those of the partition itself with 0xff."""
    ids: list[tuple[RowKeys, Id]] = [(ACCOUNTS, row_id), (PRODUCTS, product_id), (ORDERS, text)]
    for keys, each in ids:
        key = keys.write(each)
        assert keys.read(key) == each
        assert keys.first <= key < FIRST_OTHER_KEY < b"\xfe"


NAMES: Final = ["", "AB-1", "AB-10", "AB-2", "a\x00b", "é", "\xff", "\U0010ffff"]
"""In the order of their characters."""


@pytest.fixture
def store(tmp_path: Path) -> PartitionStore:
    return PartitionStore(tmp_path / "orders-0", Memory(), ORDERS)


def test_states_of_texts_are_read_back_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "orders-0"
    store = PartitionStore(path, Memory(), ORDERS)
    states: dict[Id, State] = {
        name: structs.replace(ROW, offset=number) for number, name in enumerate(NAMES)
    }
    store.write(states, next_offset=12, now_us=9)
    store.close()

    store = PartitionStore(path, Memory(), ORDERS)
    assert store.read([*NAMES, "other"]) == states
    assert dict(store.items()) == states
    assert [i for i, _ in store.items()] == NAMES
    progress = store.progress()
    assert progress is not None
    assert progress.next_offset == 12
    store.close()


def test_rows_of_texts_are_listed_from_any_id_on_and_back(store: PartitionStore) -> None:
    store.write(dict.fromkeys(NAMES, ROW), next_offset=1, now_us=1)
    assert [i for i, _ in store.scan("AB-10")] == NAMES[2:]
    assert [i for i, _ in store.scan("AB-11")] == NAMES[3:]
    assert [i for i, _ in store.scan("AB-10", backwards=True)] == NAMES[2::-1]
    store.close()


def test_old_deletion_markers_of_texts_are_removed_and_new_ones_are_not(
    store: PartitionStore,
) -> None:
    newer = structs.replace(DELETED, emitted_at=300)
    store.write({**dict.fromkeys(NAMES[:-1], DELETED), NAMES[-1]: newer}, next_offset=1, now_us=1)
    store.write({"AB-1": ROW}, next_offset=2, now_us=2)
    assert store.forget_deleted(before_us=200) == 0
    assert store.forget_deleted(before_us=201) == len(NAMES) - 2
    assert [i for i, _ in store.items()] == ["AB-1", NAMES[-1]]
    assert store.read(NAMES) == {"AB-1": ROW, NAMES[-1]: newer}
    assert store.forget_deleted(before_us=301) == 1
    store.close()


def test_rows_of_texts_are_counted_without_markers_and_offsets(store: PartitionStore) -> None:
    store.write({**dict.fromkeys(NAMES, ROW), "AB-2": DELETED}, next_offset=1, now_us=1)
    while store.row_count.rows is None:
        store.row_count.count_some(3)
    assert store.row_count.rows == len(NAMES) - 1
    store.close()


def test_states_of_negative_ids_come_first(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path / "accounts-0", Memory(), ACCOUNTS)
    ids: list[Id] = [3, -(2**63), 2**63 - 1, 0, -1]
    store.write(dict.fromkeys(ids, ROW), next_offset=1, now_us=1)
    assert [i for i, _ in store.items()] == [-(2**63), -1, 0, 3, 2**63 - 1]
    assert [i for i, _ in store.scan(-1)] == [-1, 0, 3, 2**63 - 1]
    store.close()
