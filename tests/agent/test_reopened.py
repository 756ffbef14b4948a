"""A database that is opened again: how RocksDB treats it, and what is known of it at once."""

import random
from pathlib import Path

import pytest

from dedup.core.keys import Id
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from dedup.state import memory as memory_module
from dedup.state.memory import Memory
from dedup.state.row_keys import RowKeys
from dedup.state.store import PartitionStore

KEYS = RowKeys(PRODUCT)
KNOWN = range(0, 20_000, 2)
"""Ids with gaps: a file has the range of an id that is not there."""

ROWS: dict[Id, State] = {
    i: State(b"f" * 21, 5, 0, 7, 100, 3, random.Random(i).randbytes(300)) for i in KNOWN
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with its states in files, closed."""
    store = PartitionStore(tmp_path / "products-0", Memory(), KEYS)
    store.write(ROWS, next_offset=1, now_us=1, source_offset=1)
    store.close()
    return store.path


def settings(path: Path) -> list[str]:
    """What RocksDB wrote down of the options that a database is open with."""
    newest = max(path.glob("OPTIONS-*"), key=lambda file: int(file.name.split("-")[1]))
    return [line for line in newest.read_text().splitlines() if "=" in line]


def test_a_database_has_the_same_options_when_it_is_opened_again(path: Path) -> None:
    before = settings(path)
    PartitionStore(path, Memory(), KEYS).close()
    assert settings(path) == before
    assert "  filter_policy=bloomfilter" in before


def test_options_of_a_newer_version_hold_for_a_database_of_an_older_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "  level0_file_num_compaction_trigger=7" not in settings(path)
    monkeypatch.setattr(memory_module, "FILES_BEFORE_MERGE", 7)
    PartitionStore(path, Memory(), KEYS).close()
    assert "  level0_file_num_compaction_trigger=7" in settings(path)


def test_a_reopened_database_reads_into_the_shared_cache_and_only_what_is_there(path: Path) -> None:
    memory = Memory()
    store = PartitionStore(path, memory, KEYS)
    assert store.fetch([i + 1 for i in KNOWN]) == {}
    of_absent = memory.block_cache.get_usage()
    assert store.fetch(list(KNOWN)) == ROWS
    of_known = memory.block_cache.get_usage()
    store.close()
    assert of_absent < of_known / 3  # the filter is wrong for one key in a hundred
    assert of_known > 2 * 2**20


def test_rows_are_counted_anew_where_someone_wrote_who_did_not_count(path: Path) -> None:
    def reopened() -> PartitionStore:
        return PartitionStore(path, Memory(), KEYS)

    store = reopened()
    assert store.row_count.rows is None
    store.row_count.count_some(len(KNOWN) + 1)
    store.close()
    store = reopened()
    assert store.row_count.rows == len(KNOWN)
    store.row_count.restart()
    store.write({1: ROWS[0]}, next_offset=2, now_us=1, source_offset=2)
    store.close()
    store = reopened()
    assert store.row_count.rows is None
    store.row_count.count_some(len(KNOWN) + 2)
    assert store.row_count.rows == len(KNOWN) + 1
    store.close()
