"""The memory that states may take: bounded for all partitions of a worker together."""

from collections.abc import Collection
from contextlib import suppress
from ctypes import CDLL
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    WriteBufferManager,
    WriteOptions,
)

from dedup.core.state import State

BLOCK_CACHE_BYTES: Final = 16 * 1024 * 1024
WRITE_BUFFER_BYTES: Final = 8 * 1024 * 1024
WRITE_BUFFERS_BYTES: Final = 64 * 1024 * 1024
"""All write buffers of a worker, also those the disk has not taken yet: RocksDB refuses writes
beyond it."""

ARENA_BLOCK_BYTES: Final = 64 * 1024
"""What a write buffer grows by. RocksDB's own megabyte fragments the heap."""

FILES_BEFORE_MERGE: Final = 8
"""How many files of write buffers there are before RocksDB merges them into the others."""

LEVEL_BYTES: Final = 64 * 1024 * 1024
"""Beyond it there is a smaller level before the largest, so that a merge need not read all of the
database. RocksDB's own 256 MiB is more than a million rows take."""

STATES: Final = 24_576
"""States that wait to be written to RocksDB. As many again are kept after that."""

STATE_BYTES: Final = 18 * 1024 * 1024
"""What they may take: some 700 bytes each. Where rows are longer, there are fewer."""

LEAST_STATES: Final = 256

_ARENA_MAX: Final = -8
"""M_ARENA_MAX of glibc's malloc.h: how many heaps all threads have, by default eight a core."""

_HEAPS: Final = 2

_DEFAULTS: Final = """\
[Version]
  rocksdb_version=9.0.0
  options_file_version=1.1
[DBOptions]
  info_log_level=FATAL_LEVEL
[CFOptions "default"]
[TableOptions/BlockBasedTable "default"]
"""
"""Options of which rocksdict sets some only by reading them from a file."""


_row: Final = attrgetter("row")
_remembered: Final = attrgetter("remembered")


class Memory:
    """What all partitions of a worker share: a budget of states, RocksDB's cache and buffers."""

    def __init__(self) -> None:
        _limit_heaps()
        self.partitions = 0
        self.refusing: set[Path] = set()
        """Databases that have no room; the room may be taken by others."""
        self.block_cache = Cache(BLOCK_CACHE_BYTES)
        self.write_buffers = WriteBufferManager(WRITE_BUFFERS_BYTES, allow_stall=True)

    @property
    def states_of_partition(self) -> int:
        """How many states each open partition may keep in memory before it writes them."""
        return max(LEAST_STATES, STATES // max(1, self.partitions))

    @property
    def state_bytes_of_partition(self) -> int:
        """How many bytes they may take."""
        return STATE_BYTES // max(1, self.partitions)


def mean_bytes(states: Collection[State]) -> int:
    """Return the mean size of what states carry: their rows, and what their windows remember."""
    rows = sum(map(len, filter(None, map(_row, states))))
    return (rows + sum(map(len, map(_remembered, states)))) // max(1, len(states))


def _limit_heaps() -> None:
    """Let all threads of the process share two heaps, where the C library is glibc.

    What a thread frees stays in its heap and is of no use to threads with another, which adds up
    with many products. One heap takes less still, and more CPU: threads wait for each other.
    """
    with suppress(AttributeError):  # other C libraries have no such setting, and no such heaps
        CDLL(None).mallopt(_ARENA_MAX, _HEAPS)


def options(memory: Memory, directory: Path) -> Options:
    """Return the options of a partition's database, by way of a file in a directory.

    RocksDB logs nothing: a write of states would wait for a disk that takes no line of its log.
    """
    table = BlockBasedOptions()
    table.set_block_cache(memory.block_cache)
    table.set_bloom_filter(10, block_based=False)
    # In the cache they would push out the blocks of rows, and be read again for every look-up.
    table.set_cache_index_and_filter_blocks(False)
    found = _defaults(directory)
    found.create_if_missing(True)
    found.set_block_based_table_factory(table)
    found.set_write_buffer_size(WRITE_BUFFER_BYTES)
    found.set_arena_block_size(ARENA_BLOCK_BYTES)
    found.set_max_write_buffer_number(2)
    found.set_write_buffer_manager(memory.write_buffers)
    found.set_compression_type(DBCompressionType.lz4())  # less CPU than Snappy
    found.set_level_zero_file_num_compaction_trigger(FILES_BEFORE_MERGE)
    found.set_max_bytes_for_level_base(LEVEL_BYTES)
    found.set_keep_log_file_num(2)
    found.set_max_open_files(256)
    return found


def _defaults(directory: Path) -> Options:
    with TemporaryDirectory(dir=directory) as written:
        (Path(written) / "OPTIONS-000001").write_text(_DEFAULTS)
        (Path(written) / "rocksdict-config.json").write_text('{"raw_mode":true}')
        return Options.load_latest(written)[0]


def write_options() -> WriteOptions:
    """Return how states are written: to memory alone, at once or not at all.

    rocksdict holds Python's lock while it writes, so a write that waits for the disk would stop the
    heartbeats of the worker.
    """
    found = WriteOptions()
    found.disable_wal = True  # type: ignore[method-assign, assignment]  # in its stub, a method
    found.no_slowdown = True
    return found
