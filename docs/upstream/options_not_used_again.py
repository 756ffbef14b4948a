"""rocksdict: a database that is opened again has other options than those that are given.

`Rdict(path, options)` uses the options when it creates the database. When it opens it again, those
of the column family come from the file that RocksDB wrote, which can hold neither the cache nor the
filter: the database has a cache of its own, and no filter.

Exits with 0 while rocksdict has the fault, with 1 when it has not. Needs no broker.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rocksdict import BlockBasedOptions, Cache, Options, Rdict

CACHE_BYTES = 2**20


def options() -> Options:
    """Return options with a cache and a filter."""
    table = BlockBasedOptions()
    table.set_block_cache(Cache(CACHE_BYTES))
    table.set_bloom_filter(10, block_based=False)
    found = Options(raw_mode=True)
    found.set_block_based_table_factory(table)
    return found


def opened(path: Path) -> tuple[int | None, str]:
    """Open a database, close it, and return the size of its cache and its filter."""
    database = Rdict(str(path), options())
    cache_bytes = database.property_int_value("rocksdb.block-cache-capacity")
    database.close()
    newest = max(path.glob("OPTIONS-*"), key=lambda file: int(file.name.split("-")[1]))
    (line,) = (each for each in newest.read_text().splitlines() if "filter_policy=" in each)
    return cache_bytes, line.strip()


def main() -> int:
    """Return the exit status."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "database"
        first, again = opened(path), opened(path)
    print(f"created: a cache of {first[0]} bytes, {first[1]}")
    print(f"opened again: a cache of {again[0]} bytes, {again[1]}")
    return 0 if first != again else 1


if __name__ == "__main__":
    sys.exit(main())
