"""Damaged, half-written and foreign data directories, without a broker."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from rocksdict import WriteOptions

from dedup.core.keys import Id
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from dedup.rules import BESIDE_THE_ROW_BYTES
from dedup.state.database_files import destroy
from dedup.state.memory import Memory
from dedup.state.row_keys import RowKeys
from dedup.state.store import PartitionStore
from dedup.state.store_errors import DamagedError
from tests.agent.conftest import Bench, new_bench
from tests.support.records import event
from tests.support.topic_facts import topic_facts


def state(offset: int) -> State:
    return State(b"f" * 21, 5, 0, offset, 100, 0, os.urandom(300))


def fill(path: Path) -> None:
    """Leave a database as a killed worker of an older release did: with 1,000 states in a log."""
    store = PartitionStore(path, Memory(), RowKeys(PRODUCT))
    for begin in range(0, 4_000, 500):
        states: dict[Id, State] = {i: state(i) for i in range(begin + 1, begin + 501)}
        store.write(states, next_offset=begin + 500, now_us=1)
        store.flush()
        if begin == 2_500:
            store.persist()
            store._db._rocksdb.set_write_options(WriteOptions())
    shutil.copytree(path, path.with_name("copy"))
    store.close()
    shutil.rmtree(path)
    path.with_name("copy").rename(path)


def only(path: Path, pattern: str) -> Path:
    (found,) = path.glob(pattern)
    return found


def cut(path: Path, kept: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])


def scratch(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = os.urandom(200)
    path.write_bytes(data)


def keep(path: Path, suffix: str) -> None:
    for file in path.iterdir():
        if file.suffix != suffix:
            file.unlink()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a table scratched": lambda path: scratch(only(path, "*.sst")),
    "a table cut": lambda path: cut(only(path, "*.sst"), 0.7),
    "a table gone": lambda path: only(path, "*.sst").unlink(),
    "the log cut": lambda path: cut(only(path, "*.log"), 0.7),
    "the log scratched": lambda path: scratch(only(path, "*.log")),
    "the manifest cut": lambda path: cut(only(path, "MANIFEST*"), 0.6),
    "the manifest empty": lambda path: cut(only(path, "MANIFEST*"), 0),
    "CURRENT empty": lambda path: cut(path / "CURRENT", 0),
    "CURRENT gone": lambda path: (path / "CURRENT").unlink(),
    "the options cut": lambda path: cut(only(path, "OPTIONS*"), 0.5),
    "everything but the tables gone": lambda path: keep(path, ".sst"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_database_is_never_taken_for_a_whole_one(
    bench: Bench, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What recovery continues from is a prefix: every state up to its offset."""
    path = bench.table.data._path(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    fill(path)
    DAMAGES[damage](path)

    store = bench.table.data.open_or_rebuild(0)
    with suppress(DamagedError):  # found only when it is read: then the next start knows
        store.read(range(1, 4_001))
    bench.table.data.close_others(())
    store = bench.table.data.open_or_rebuild(0)

    progress = store.progress()
    known = len(store.read(range(1, 4_001)))
    assert known == (0 if progress is None else progress.next_offset)
    if progress is None:
        assert "it is rebuilt from the changelog topic" in caplog.text


async def test_a_whole_database_is_not_rebuilt(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """As a killed worker leaves it: recovery reads nothing of it from the topic again."""
    path = bench.table.data._path(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    fill(path)

    for _ in range(2):
        store = bench.table.data.open_or_rebuild(0)
        progress = store.progress()
        assert progress is not None
        assert progress.next_offset == 4_000
        assert sorted(store.read(range(1, 4_001))) == list(range(1, 4_001))
        bench.table.data.close_others(())

    assert "rebuilt" not in caplog.text


@pytest.mark.parametrize("damage", ["the log cut", "the log scratched"])
async def test_of_a_log_that_is_damaged_the_whole_part_is_kept(bench: Bench, damage: str) -> None:
    """The table before it is sound: only what is behind it is read again."""
    path = bench.table.data._path(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    fill(path)
    DAMAGES[damage](path)

    progress = bench.table.data.open_or_rebuild(0).progress()

    assert progress is not None
    assert 3_000 <= progress.next_offset < 4_000


async def feed_all(bench: Bench, products: int) -> None:
    """An event of every eighth product: some are in every block of the table."""
    for product_id in range(1, products + 1, 8):
        await bench.feed(event(product_id), key=b"%d" % product_id, offset=product_id)


async def test_damage_found_in_work_stops_the_worker_and_the_next_start_rebuilds(
    bench: Bench,
) -> None:
    path = bench.table.data._path(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    fill(path)
    scratch(only(path, "*.sst"))
    bench.publisher.appended = 4_000  # the topic goes on where the states end

    with pytest.raises(DamagedError, match=f"{path} is damaged .*Restart the worker"):
        await feed_all(bench, 3_000)
    bench.table.data.close_others(())

    assert bench.table.data.open_or_rebuild(0).progress() is None


def test_a_view_of_a_damaged_database_is_an_error_and_not_a_part(tmp_path: Path) -> None:
    """RocksDB's own iterator ends at the damage as if there were no more."""
    path = tmp_path / "products-0"
    fill(path)
    scratch(only(path, "*.sst"))
    store = PartitionStore(path, Memory(), RowKeys(PRODUCT))

    with pytest.raises(DamagedError):
        list(store.items())


def test_state_bytes_of_a_newer_version_are_rebuilt(tmp_path: Path) -> None:
    path = tmp_path / "products-0"
    store = PartitionStore(path, Memory(), RowKeys(PRODUCT))
    store._db._rocksdb[(1).to_bytes(8, "big")] = b"\x63 of the future"

    with pytest.raises(DamagedError, match="layout 1 is expected"):
        store.read([1])
    store.close()
    with pytest.raises(DamagedError):
        PartitionStore(path, Memory(), RowKeys(PRODUCT))
    destroy(path)
    PartitionStore(path, Memory(), RowKeys(PRODUCT)).close()


WRITER = """
import sys
from pathlib import Path
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from dedup.rules import BESIDE_THE_ROW_BYTES
from dedup.state.store import PartitionStore
from dedup.state.memory import Memory
from dedup.state.row_keys import RowKeys
store = PartitionStore(Path(sys.argv[1]), Memory(), RowKeys(PRODUCT))
progress = store.progress()
begin = progress.next_offset if progress else 0
print(begin, flush=True)
while True:
    states = {i: State(b"f" * 21, 5, 0, i, 100, 0, b"x" * 2000) for i in range(begin, begin + 500)}
    begin += 500
    store.write(states, next_offset=begin, now_us=1)
    store.flush()
"""


def test_a_worker_killed_in_the_middle_of_its_writes_leaves_a_whole_prefix(tmp_path: Path) -> None:
    """SIGKILL at moments that fall before, into and after RocksDB's own flushes.

    Eight times at least, and until four kills left something: a slow machine needs more.
    """
    path = tmp_path / "products-0"
    grew = 0
    for round_ in range(40):
        if round_ >= 8 and grew > 3:
            break
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        while round_ > 1 and not any(path.glob("*.sst")):
            time.sleep(0.01)
        time.sleep(0.03 + 0.05 * (round_ % 8))
        writer.kill()
        writer.communicate()
        try:
            store = PartitionStore(path, Memory(), RowKeys(PRODUCT))
        except DamagedError:
            destroy(path)
            continue
        progress = store.progress()
        end = progress.next_offset if progress else 0
        assert len(store.read(range(end + 500))) == end
        grew += end > 0
        store.close()
    assert grew > 3


async def test_a_rebuild_that_was_killed_is_no_half_database(bench: Bench) -> None:
    path = bench.table.data._path(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    fill(path)
    path.rename(path.with_name(path.name + ".away"))

    assert bench.table.data.open_or_rebuild(0).progress() is None
    bench.table.data.rebuild(0)
    assert not path.with_name(path.name + ".away").exists()


async def test_a_clock_that_is_turned_back_changes_no_decision(bench: Bench) -> None:
    """Order is by event time and offset; processing time only stamps rows."""
    await bench.feed(event(number=1), event(number=2, price="11.00"))
    bench.clock.move(days=-400)
    await bench.feed(event(number=3, price="12.00"), event(number=2), offset=2)
    await bench.feed(event(number=4, action="deleted"), offset=4)
    await bench.feed(event(number=3), offset=5)
    bench.clock.move(days=800)
    await bench.feed(event(number=6, price="13.00"), offset=6)

    assert bench.outcomes() == {"change": 4, "stale": 2, "tombstone": 1}


async def test_a_row_that_the_topic_does_not_take_is_a_dead_letter_and_changes_nothing(
    tmp_path: Path,
) -> None:
    environ = {"DEDUP_DATA_DIR": str(tmp_path / "data")}
    facts = topic_facts(states_batch_bytes=1_500 + BESIDE_THE_ROW_BYTES)
    async with new_bench(environ, facts) as bench:
        output = await bench.feed(
            event(number=1),
            event(number=2, description="x" * 3_000),
            event(number=3, stock_quantity=5),
        )

    assert len(output.states) == 2
    assert b'"description":null' in (output.states[1].value or b"")
    headers = dict(output.dead_letters[0].headers)
    assert headers["dedup.errors.reason"] == b"row_too_large"
    assert b"max.message.bytes" in (headers["__streams.errors.message"] or b"")
    assert bench.outcomes() == {"change": 2, "dead_letter": 1}
