"""mode: `ServiceThread.stop()` raises after the thread has failed.

A thread that fails closes its event loop (`ServiceThread._start_thread`). `stop()` then sets the
stopped event by `call_soon_threadsafe` on that loop (`_stopped_set`) and raises "Event loop is
closed", so that the rest of `stop()` is left out.

Exits with 0 while mode has the fault, with 1 when it has not. Needs no broker.
"""

import asyncio
import contextlib
import io
import sys
from typing import Any

from mode.threads import ServiceThread


class Thread(ServiceThread):
    """A service in a thread of its own, whose brokers are away."""

    async def on_start(self) -> None:
        raise ConnectionError("no broker answers")


async def main() -> int:
    """Return the exit status."""
    thread: Any = Thread()
    with contextlib.redirect_stderr(io.StringIO()):  # mode prints the traceback
        try:
            await thread.start()
        except ConnectionError as error:
            print(f"start() raises {error!r}.")
        await asyncio.to_thread(thread._thread.join)
    try:
        await thread.stop()
    except RuntimeError as error:
        print(f"stop() raises {error!r}.")
        return 0
    print("stop() returns.")
    return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
