"""Real disks that are small, or can't be written."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """Mount a file system of 4 MB at a path."""
    path.mkdir()
    _as_root("mount", "-t", "tmpfs", "-o", "size=4m,mode=1777", "tmpfs", str(path))
    try:
        yield path
    finally:
        _as_root("umount", str(path))


@contextmanager
def loop_disk(path: Path, megabytes: int = 1024) -> Iterator[Path]:
    """Mount a file system of its own, in a file, at a path."""
    path.mkdir()
    image = path.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    _as_root(
        "mkfs.ext4", "-q", "-m", "0", "-E", f"root_owner={os.geteuid()}:{os.getegid()}", str(image)
    )
    _as_root("mount", "-o", "loop", str(image), str(path))
    try:
        yield path
    finally:
        _as_root("umount", str(path))
        image.unlink()


@contextmanager
def frozen(disk: Path) -> Iterator[None]:
    """Let every write to a disk wait, as while a snapshot of it is made.

    What waits can't be killed meanwhile.
    """
    _as_root("fsfreeze", "--freeze", str(disk))
    try:
        yield
    finally:
        _as_root("fsfreeze", "--unfreeze", str(disk))


def enlarge(disk: Path) -> None:
    """Make a full disk of `small_disk` larger."""
    _as_root("mount", "-o", "remount,size=64m", str(disk))


def make_read_only(disk: Path) -> None:
    """Let nothing be written to a mounted disk any more."""
    _as_root("mount", "-o", "remount,ro", str(disk))


def _as_root(*command: str) -> None:
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    subprocess.run([*prefix, *command], check=True)
