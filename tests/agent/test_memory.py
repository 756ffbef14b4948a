"""The memory of a worker's process."""

import subprocess
import sys
from pathlib import Path

ALLOCATE_IN_THREADS = """
import ctypes, sys, threading
from dedup.state.memory import Memory

if sys.argv[2] == "worker":
    memory = Memory()
libc = ctypes.CDLL(None)
barrier = threading.Barrier(5)

def allocate():
    kept = [bytearray(10_000) for _ in range(100)]
    barrier.wait()
    barrier.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
barrier.wait()
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
barrier.wait()
"""


def heaps(tmp_path: Path, setting: str) -> int:
    path = tmp_path / f"{setting}.xml"
    command = [sys.executable, "-c", ALLOCATE_IN_THREADS, str(path), setting]
    subprocess.run(command, check=True)
    return path.read_text().count("<heap ")


def test_all_threads_of_a_worker_allocate_from_two_heaps(tmp_path: Path) -> None:
    assert heaps(tmp_path, "default") > 2
    assert heaps(tmp_path, "worker") == 2
