"""Damage that sends RocksDB's reader of logs into an endless loop is cut off before it reads."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.test_recovery import fill, only

ROOT = Path(__file__).parents[2]
BLOCK_BYTES = 32 * 1024
HEADER = struct.Struct("<IHB")
OPEN = """
import sys
from pathlib import Path
from dedup.entities.product import PRODUCT
from dedup.state.memory import Memory
from dedup.state.row_keys import RowKeys
from dedup.state.store import PartitionStore
from dedup.state.store_errors import DamagedError
try:
    progress = PartitionStore(Path(sys.argv[1]), Memory(), RowKeys(PRODUCT)).progress()
except DamagedError:
    print("damaged")
else:
    print(progress and progress.next_offset)
"""


def opened(path: Path) -> str:
    """Open a database in a process of its own, for a loop in RocksDB can't be interrupted."""
    command = [sys.executable, "-c", OPEN, str(path)]
    run = subprocess.run(command, cwd=ROOT, timeout=60, check=True, capture_output=True, text=True)
    return run.stdout.strip()


def headers(log: bytes) -> list[int]:
    """The offsets of a log's records."""
    found, at = [], 0
    while at + HEADER.size <= len(log):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < HEADER.size:
            at += left
            continue
        found.append(at)
        at += HEADER.size + HEADER.unpack_from(log, at)[1]
    return found


def overwrite(path: Path, at: int, data: bytes) -> None:
    changed = bytearray(path.read_bytes())
    changed[at : at + len(data)] = data
    path.write_bytes(changed)


@pytest.mark.parametrize("kind", [5, 6, 7, 8, 9, 11, 130, 255])
def test_a_log_ends_at_a_record_of_a_type_that_is_not_written(kind: int, tmp_path: Path) -> None:
    """Types 5 to 8 are those of logs that are reused: RocksDB would read one for ever."""
    path = tmp_path / "database"
    fill(path)
    log = only(path, "*.log")
    data = log.read_bytes()
    second_batch = next(at for at in headers(data)[1:] if data[at + 6] in (1, 2))
    overwrite(log, second_batch + 6, bytes([kind]))
    assert opened(path) == "3500"


def test_a_log_ends_at_a_record_that_is_longer_than_its_block(tmp_path: Path) -> None:
    path = tmp_path / "database"
    fill(path)
    log = only(path, "*.log")
    overwrite(log, headers(log.read_bytes())[0] + 4, b"\xff\xff")
    assert opened(path) == "3000"


@pytest.mark.parametrize("kind", [7, 130])
def test_a_manifest_with_a_record_that_is_not_written_is_damage(kind: int, tmp_path: Path) -> None:
    path = tmp_path / "database"
    fill(path)
    manifest = only(path, "MANIFEST*")
    overwrite(manifest, headers(manifest.read_bytes())[-1] + 6, bytes([kind]))
    assert opened(path) == "damaged"


def test_a_log_that_a_killed_worker_leaves_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "database"
    fill(path)
    assert opened(path) == "4000"
