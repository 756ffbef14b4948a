"""What is done to workers, and to a broker that is alone."""

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import psutil

from dedup.streaming.wiring import SESSION_TIMEOUT_S
from tests.chaos.report import last_words
from tests.support.workers import WorkerProcess

if TYPE_CHECKING:
    from tests.chaos.harness import Chaos

Action = Callable[["Chaos", WorkerProcess], Awaitable[None]]


async def kill(_chaos: "Chaos", worker: WorkerProcess) -> None:
    """Kill a worker and start it again."""
    worker.kill()
    worker.start()


async def kill_and_wipe(_chaos: "Chaos", worker: WorkerProcess) -> None:
    """Start a worker again without its disk."""
    worker.kill()
    shutil.rmtree(worker.data_dir, ignore_errors=True)
    worker.start()


async def terminate(chaos: "Chaos", worker: WorkerProcess) -> None:
    """Shut a worker down and start it again."""
    code = await chaos.shut_down(worker)
    if code not in (None, 0, -signal.SIGTERM):  # it may come before the handler is there
        chaos.report.faults.append(f"SIGTERM gave {code}: {last_words(worker)}")
    worker.start()


async def suspend(chaos: "Chaos", worker: WorkerProcess) -> None:
    """Make a zombie: longer than its session, so that another takes over meanwhile."""
    worker.send(signal.SIGSTOP)
    await asyncio.sleep(SESSION_TIMEOUT_S + chaos.random.uniform(2, 6))
    chaos.expect(psutil.Process(worker.process.pid).status() == psutil.STATUS_STOPPED, "a zombie")
    worker.send(signal.SIGCONT)


async def remove(chaos: "Chaos", worker: WorkerProcess) -> None:
    """Take a worker away for some seconds."""
    worker.kill()
    await asyncio.sleep(chaos.random.uniform(3, 8))
    chaos.expect(not worker.alive, "a removed worker")
    worker.start()


async def kill_broker(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Kill the only broker and start it again, at once or after some seconds."""
    await asyncio.to_thread(chaos.kafka.kill)
    chaos.expect(not chaos.kafka.running, "a killed broker")
    await asyncio.sleep(chaos.random.uniform(0, 5))
    await asyncio.to_thread(chaos.kafka.restart)


async def pause_broker(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Suspend the only broker: connections are open, and nothing is answered."""
    chaos.kafka.pause()
    await asyncio.sleep(chaos.random.uniform(1, 8))
    chaos.kafka.resume()


ON_WORKERS: Final[dict[str, Action]] = {
    "kill": kill,
    "kill_and_wipe": kill_and_wipe,
    "terminate": terminate,
    "suspend": suspend,
    "remove": remove,
}
ON_A_BROKER: Final[dict[str, Action]] = {
    "kill_broker": kill_broker,
    "pause_broker": pause_broker,
}
