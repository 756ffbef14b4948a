"""What a store does while RocksDB has no room for more: the disk is behind."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from dedup.core.keys import Id
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from dedup.state import memory as memory_module
from dedup.state.memory import Memory
from dedup.state.row_keys import RowKeys
from dedup.state.store import UNPERSISTED_EVENTS, PartitionStore
from dedup.streaming import flushing as flushing_module
from dedup.streaming.flushing import Flushing
from tests.agent.conftest import Bench
from tests.support.polling import until
from tests.support.records import event

KEYS = RowKeys(PRODUCT)
ROW = State(b"f" * 21, 5, 0, 7, 100, 3, b'{"product_id":1}')
DELETED = State(bytes(21), 6, 0, 8, 200, 0, None)
NEVER, AT_ONCE = "1000000", "1"


class SlowRocksDB:
    """RocksDB whose disk takes nothing until it is released; `write` is RocksDB's own."""

    def __init__(self, rocksdb: Any) -> None:
        self._rocksdb = rocksdb
        self.released = threading.Event()

    def flush(self) -> None:
        """Wait for the disk."""
        self.released.wait()
        self._rocksdb.flush()

    def __getattr__(self, name: str) -> Any:
        """Return the same of RocksDB."""
        return getattr(self._rocksdb, name)


def hold_up(store: PartitionStore) -> None:
    """Let RocksDB refuse writes as while its disk is behind: it has a file too many to merge."""
    store.flush()
    store.persist()
    database: Any = store._db
    database._rocksdb = SlowRocksDB(database._rocksdb)
    database._rocksdb.set_options(
        {
            "level0_file_num_compaction_trigger": NEVER,
            "level0_slowdown_writes_trigger": AT_ONCE,
            "level0_stop_writes_trigger": AT_ONCE,
        }
    )


def release(store: PartitionStore) -> None:
    """Let it take writes again."""
    database: Any = store._db
    database._rocksdb.set_options(
        {"level0_slowdown_writes_trigger": NEVER, "level0_stop_writes_trigger": NEVER}
    )
    database._rocksdb.released.set()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PartitionStore]:
    found = PartitionStore(tmp_path / "products-0", Memory(), KEYS)
    found.write(dict.fromkeys((1, 3, 5), ROW), next_offset=3, now_us=1, source_offset=3)
    hold_up(found)
    yield found
    release(found)
    found.close()


def test_what_rocksdb_refuses_stays_pending_and_is_known(store: PartitionStore) -> None:
    newer = structs.replace(ROW, offset=9)
    store.write({2: newer, 3: newer, 5: DELETED}, next_offset=6, now_us=1, source_offset=6)
    assert not store.flush()

    known: dict[Id, State] = {1: ROW, 2: newer, 3: newer, 5: DELETED}
    assert store.read([1, 2, 3, 4, 5]) == known
    assert dict(store.items()) == known
    rows = {i: state.row for i, state in known.items()}
    assert list(store.scan(2)) == [(i, rows[i]) for i in (2, 3, 5)]
    assert list(store.scan(3, backwards=True)) == [(i, rows[i]) for i in (3, 2, 1)]
    store.row_count.count_some(10)
    assert store.row_count.rows == 3
    assert store.forget_deleted(10**18) == 0

    release(store)
    assert store.flush()
    assert dict(store.items()) == known
    assert store.forget_deleted(10**18) == 1


def test_a_store_that_was_closed_meanwhile_is_not_persisted(tmp_path: Path) -> None:
    """A rebalance closes stores while others are persisted, in another thread."""
    store = PartitionStore(tmp_path / "products-0", Memory(), KEYS)
    store.write({1: ROW}, next_offset=8, now_us=1, source_offset=8)
    store.close()
    if store.should_persist:  # the loop that asks has a list from before
        store.persist()
    assert not store._db.has_new_errors()


def test_there_is_room_until_states_are_many_or_large(
    store: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_module, "STATE_BYTES", 100_000)
    store.write({6: ROW}, next_offset=4, now_us=1, source_offset=4)
    store.flush()
    assert store.make_room()
    large = structs.replace(ROW, row=bytes(30_000))
    store.write({10: large}, next_offset=7, now_us=1, source_offset=7)
    assert store.make_room()
    store.write({11: large}, next_offset=8, now_us=1, source_offset=8)
    assert not store.make_room()

    release(store)
    store.persist()
    assert store.make_room()


def test_a_partition_is_ahead_of_its_disk_by_fewer_events_than_are_decided_on_again(
    store: PartitionStore,
) -> None:
    """Though they are all duplicates of one product, and take no memory."""
    at = 3 + UNPERSISTED_EVENTS
    store.write({1: ROW}, next_offset=None, now_us=1, source_offset=at)
    assert store.make_room()
    store.write({1: ROW}, next_offset=None, now_us=1, source_offset=at + 1)
    assert not store.make_room()

    release(store)
    assert not store.make_room()  # RocksDB has it, the disk does not
    store.persist()
    assert store.make_room()


async def test_a_partition_waits_for_room_while_the_loop_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Memory, "states_of_partition", 1)
    await bench.feed(event(1))
    store = bench.table.data.partition(0)
    hold_up(store)
    bench.table.write(0, {2: ROW}, next_offset=None, now_us=1, source_offset=2)
    waiting = asyncio.create_task(bench.table.room(0))

    await until(lambda: store.persisting_for() > 0.2)
    assert not waiting.done()
    release(store)
    async with asyncio.timeout(30):
        await waiting
    assert store.make_room()


async def test_the_log_says_once_that_the_disk_is_slow_and_once_that_it_is_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(flushing_module, "SLOW_AFTER_S", 0.2)
    caplog.set_level(logging.WARNING)
    await bench.feed(event(1))
    store = bench.table.data.partition(0)
    hold_up(store)
    bench.table.write(0, {2: ROW}, next_offset=None, now_us=1, source_offset=2)
    assert not store.flush()

    async with Flushing(bench.table, lambda _error: None):
        await until(lambda: store.persisting_for() > 2)
        release(store)
        await until(lambda: "takes states again" in caplog.text)

    first, second = (record.getMessage() for record in caplog.records)
    assert "has not taken the states of a partition for" in first
    assert "takes states again" in second
