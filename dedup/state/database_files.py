"""The files of a partition's database, beside what RocksDB does with them: damage and deletion."""

import shutil
from pathlib import Path
from typing import Final

from dedup.state.store_errors import explain

_TABLE_END: Final = (0x88E241B785F4CFF7).to_bytes(8, "little")  # RocksDB's block-based tables
_AWAY: Final = ".away"
_DAMAGED: Final = ".damaged"


def damage_mark(path: Path) -> Path:
    """Return the file whose existence says that the database at a path can't be trusted."""
    return path.with_name(path.name + _DAMAGED)


def complete_tables(path: Path) -> set[str]:
    """Return the names of the table files that were written to their end."""
    return {file.name for file in path.glob("*.sst") if _is_complete(file)}


def _is_complete(table: Path) -> bool:
    with table.open("rb") as file:
        file.seek(max(0, table.stat().st_size - len(_TABLE_END)))
        return file.read() == _TABLE_END


def destroy(path: Path) -> None:
    """Delete a closed database, whatever its condition. Raises StoreError.

    It is renamed first: half a database, left by a kill, must not be mistaken for a whole one.
    """
    away = path.with_name(path.name + _AWAY)
    try:
        if away.exists():
            shutil.rmtree(away)
        if path.exists():
            path.rename(away)
            shutil.rmtree(away)
        damage_mark(path).unlink(missing_ok=True)
    except OSError as error:
        raise explain(path, error) from error
