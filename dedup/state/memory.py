"""The memory that RocksDB may take: bounded for all partitions of a worker together."""

from typing import Final

from rocksdict import BlockBasedOptions, Cache, Options, WriteBufferManager

BLOCK_CACHE_BYTES: Final = 16 * 1024 * 1024
WRITE_BUFFER_BYTES: Final = 8 * 1024 * 1024
WRITE_BUFFERS_BYTES: Final = 32 * 1024 * 1024
"""All write buffers of a worker: RocksDB flushes the fullest one when they come near it."""

ARENA_BLOCK_BYTES: Final = 64 * 1024
"""What a write buffer grows by. RocksDB's own megabyte fragments the heap."""


class Memory:
    """What all partitions of a worker share: RocksDB's block cache and its write buffers."""

    def __init__(self) -> None:
        self.block_cache = Cache(BLOCK_CACHE_BYTES)
        self.write_buffers = WriteBufferManager(WRITE_BUFFERS_BYTES, allow_stall=False)


def options(memory: Memory) -> Options:
    """Return the options of a partition's database."""
    table = BlockBasedOptions()
    table.set_block_cache(memory.block_cache)
    table.set_bloom_filter(10, block_based=False)
    table.set_cache_index_and_filter_blocks(True)
    found = Options(raw_mode=True)
    found.create_if_missing(True)
    found.set_block_based_table_factory(table)
    found.set_write_buffer_size(WRITE_BUFFER_BYTES)
    found.set_arena_block_size(ARENA_BLOCK_BYTES)
    found.set_max_write_buffer_number(2)
    found.set_write_buffer_manager(memory.write_buffers)
    found.set_keep_log_file_num(2)
    found.set_max_open_files(256)
    return found
