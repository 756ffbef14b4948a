"""The store is written behind: what a crash leaves of it, who flushes, and reads in threads."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from dedup.core.keys import Id
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from dedup.state import store as store_module
from dedup.state.database_files import damage_mark
from dedup.state.memory import Memory
from dedup.state.row_keys import RowKeys
from dedup.state.store import PERSIST_EVERY_EVENTS, PartitionStore
from dedup.state.store_errors import StoreError
from dedup.state.table import THREAD_FROM
from dedup.streaming.flushing import Flushing
from tests.agent.conftest import Bench
from tests.support.polling import until
from tests.support.records import event

KEYS = RowKeys(PRODUCT)
ROW = State(b"f" * 21, 5, 0, 7, 100, 3, b'{"product_id":1}')
DELETED = State(bytes(21), 6, 0, 8, 200, 0, None)
IDS = range(1, 9)


def opened(path: Path) -> PartitionStore:
    """A store that merges no files: a copy of them is to be of one moment."""
    found = PartitionStore(path, Memory(), KEYS)
    found._db._rocksdb.set_options({"disable_auto_compactions": "true"})
    return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PartitionStore]:
    found = opened(tmp_path / "products-0")
    yield found
    found.close()


def living(states: dict[Id, State]) -> int:
    return sum(state.row is not None for state in states.values())


def after_a_kill(store: PartitionStore) -> PartitionStore:
    """The database as a process that is killed now leaves it."""
    copy = store.path.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(store.path, copy)
    return opened(copy)


WRITES = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(IDS), st.booleans(), max_size=5),
        st.booleans(),  # something was emitted
        st.sampled_from(["", "", "flush", "persist", "kill", "forget"]),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=60)  # each opens some databases
@given(writes=WRITES, limit=st.sampled_from([1, 3, 1000]))
def test_after_a_kill_states_offsets_and_number_of_rows_are_those_of_one_moment(
    writes: list[tuple[dict[int, bool], bool, str]], limit: int
) -> None:
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "states_of_partition", limit)
        store = opened(Path(directory) / "products-0")
        store.row_count.count_some(1)
        known: dict[Id, State] = {}
        changelog = 0
        moments: dict[int | None, tuple[dict[Id, State], int | None]] = {None: ({}, None)}
        for source, (states, emitted, then) in enumerate(writes, start=1):
            changelog += emitted
            new: dict[Id, State] = {
                i: structs.replace(ROW if alive else DELETED, offset=source)
                for i, alive in states.items()
            }
            before = living(known)
            known |= new
            at = changelog if emitted else None
            added = living(known) - before
            store.write(new, next_offset=at, now_us=1, source_offset=source, rows_added=added)
            assert store.read(list(IDS)) == known
            moments[source] = (dict(known), changelog or None)
            if then in ("flush", "persist"):
                assert store.flush()
            if then == "persist":
                store.persist()
            elif then == "forget":
                store.forget_deleted(0)
            elif then == "kill":
                found = after_a_kill(store)
                progress = found.progress()
                left = found.read(list(IDS)), progress and progress.next_offset
                assert left == moments[found.source_offset]
                assert found.row_count.rows == (living(left[0]) if progress else None)
                found.close()
        store.close()


def persisted(store: PartitionStore) -> int | None:
    """Flush, persist if that is due, and return the source offset that a kill now leaves."""
    store.flush()
    if store.should_persist:
        store.persist()
    found = after_a_kill(store)
    found.close()
    return found.source_offset


def test_many_events_behind_are_persisted_though_few_states_changed(store: PartitionStore) -> None:
    """Recovery decides on a bounded number of events again."""
    store.write({1: ROW}, next_offset=1, now_us=1, source_offset=10)
    assert persisted(store) == 10
    store.write({2: ROW}, next_offset=2, now_us=1, source_offset=9 + PERSIST_EVERY_EVENTS)
    assert persisted(store) == 10

    store.write({}, next_offset=None, now_us=1, source_offset=10 + PERSIST_EVERY_EVENTS)
    assert persisted(store) == 10 + PERSIST_EVERY_EVENTS


def test_offsets_that_go_back_are_persisted_at_once(store: PartitionStore) -> None:
    """After the source topic was recreated, recovery must not begin behind its end."""
    store.write({1: ROW}, next_offset=1, now_us=1, source_offset=500)
    assert persisted(store) == 500
    store.write({1: ROW}, next_offset=2, now_us=1, source_offset=3)

    assert persisted(store) == 3


async def test_the_last_batch_is_persisted_though_none_follows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "FLUSH_EVERY_S", 3600)
    await bench.feed(event(1))
    await bench.feed(event(1, number=1), offset=1)
    store = bench.table.data.partition(0)
    assert persisted(store) == 2
    await bench.feed(event(1, number=2), offset=2)
    assert not store.should_persist
    monkeypatch.setattr(store_module, "FLUSH_EVERY_S", 0.1)
    monkeypatch.setattr(store_module, "PERSIST_EVERY_S", 0.1)

    async with Flushing(bench.table, lambda _error: None):
        await until(lambda: store._persisted_offsets.source == 3)
    found = after_a_kill(store)
    assert found.read([1]) == bench.table.read(0, [1])
    found.close()


async def test_a_flush_that_fails_stops_the_worker_and_names_the_directory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.feed(event(1))
    await bench.feed(event(1, number=1), offset=1)
    store, told = bench.table.data.partition(0), list[StoreError]()

    class Full:
        def write(self, _batch: object) -> None:
            raise Exception("IO error: No space left on device")  # noqa: TRY002 - as rocksdict does

        def flush(self) -> None:
            raise Exception("IO error: No space left on device")  # noqa: TRY002 - as rocksdict does

        def property_int_value(self, _name: str) -> int:
            return 0

    monkeypatch.setattr(store_module, "FLUSH_EVERY_S", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(store._db, "_rocksdb", Full())
        async with Flushing(bench.table, told.append):
            async with asyncio.timeout(30):
                while not told:
                    await asyncio.sleep(0.05)
    assert f"{store.path} can't be used" in str(told[0])
    assert "free some space" in str(told[0])


async def test_many_states_that_are_not_in_memory_are_read_as_few_are(bench: Bench) -> None:
    many: dict[Id, State] = {i: structs.replace(ROW, offset=i) for i in range(1, 3 * THREAD_FROM)}
    bench.table.write(0, many, next_offset=len(many), now_us=1)
    bench.table.data.close_others(())  # nothing is in memory

    pending: dict[Id, State] = {1: DELETED, 2: structs.replace(ROW, offset=99)}
    bench.table.write(0, pending, next_offset=len(many) + 2, now_us=1)
    ids = [*many, 10_000]

    assert await bench.table.read_many(0, ids) == many | pending == bench.table.read(0, ids)


def test_a_store_is_closed_after_the_reads_in_other_threads(tmp_path: Path) -> None:
    """Eight times, at any moment of a read: it is whole, or refused, and damages nothing."""
    path = tmp_path / "products-0"
    many: dict[Id, State] = {i: structs.replace(ROW, offset=i) for i in range(1, 5_001)}
    store = opened(path)
    store.write(many, next_offset=len(many), now_us=1)
    store.close()

    async def read_and_close(after_s: float) -> object:
        store = opened(path)
        reading = asyncio.ensure_future(asyncio.to_thread(store.fetch, list(many)))
        await asyncio.sleep(after_s)
        store.close()
        return (await asyncio.gather(reading, return_exceptions=True))[0]

    found = [asyncio.run(read_and_close(after_s / 1000)) for after_s in range(8)]

    for each in found:
        assert each == many or "was closed before it was read" in str(each)
    assert many in found
    assert not damage_mark(path).exists()
