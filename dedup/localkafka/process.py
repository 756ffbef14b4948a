"""A child process that does not outlive us: on Linux not even when we are killed with SIGKILL."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

# PR_SET_PDEATHSIG (1) survives execv, so the command inherits it without code between fork and
# exec in a process that has threads. A parent that died before prctl is seen by its changed id.
_EXEC_BOUND_TO_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def spawn(
    command: list[str], log: Path, environ: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start `command`, with its output appended to `log`, from a thread that lives as long as it.

    The kernel sends the parent-death signal when the *thread* that started the child ends; a
    child started from a worker thread would otherwise die with that thread.
    The child gets its own session, so that Ctrl-C in a terminal reaches only us.
    """
    if sys.platform == "linux":
        bound = [sys.executable, "-I", "-S", "-c", _EXEC_BOUND_TO_PARENT, str(os.getpid())]
        command = bound + command
    started: Future[subprocess.Popen[bytes]] = Future()

    def keep() -> None:
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(  # noqa: S603 - no shell, no input of a stranger
                    command,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            started.set_exception(error)
        else:
            started.set_result(process)
            process.wait()

    threading.Thread(target=keep, name="child-keeper", daemon=True).start()
    return started.result()
