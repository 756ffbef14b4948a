"""The network between workers and brokers, and what goes wrong in it.

Each worker reaches each broker through a proxy of its own, as clients connect to the addresses that
brokers advertise: every worker has a listener on every broker, which advertises its proxy. Brokers
reach each other past the proxies. The proxies are Shopify's toxiproxy, built with Go: see
`network_tools`.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from http.client import BAD_REQUEST, SERVICE_UNAVAILABLE, HTTPConnection
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from dedup.localkafka import LocalKafka
from dedup.localkafka.ports import HOST, free_port
from dedup.localkafka.process import spawn

TOXIPROXY: Final = Path(__file__).parents[2] / ".cache" / "chaos" / "toxiproxy"
_STARTS_WITHIN_S: Final = 30.0
_ANSWERS_WITHIN_S: Final = 60.0

Held = AbstractAsyncContextManager[object]
"""A fault while it is entered."""

Fault = Callable[["Network", int, Random], Coroutine[Any, Any, None]]


class Network:
    """A proxy for each of some workers to each of some brokers.

    Enter it before the brokers start, which need its `listeners`; `connect` makes the proxies.
    """

    def __init__(self, workers: int, brokers: int) -> None:
        chosen: list[int] = []
        for _ in range(workers * brokers + 1):
            chosen.append(free_port(avoid=chosen))
        self.brokers: Final = range(brokers)
        self._port, ports = chosen[0], chosen[1:]
        self._ports = [ports[w * brokers : (w + 1) * brokers] for w in range(workers)]
        self._numbers = count()
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        if not TOXIPROXY.exists():
            raise RuntimeError(f"There is no {TOXIPROXY}: `make .cache/chaos/toxiproxy`, with Go.")
        directory = self._closing.enter_context(tempfile.TemporaryDirectory())
        log = Path(directory) / "toxiproxy.log"
        process = spawn([str(TOXIPROXY), "-host", HOST, "-port", str(self._port)], log)
        self._closing.callback(process.wait)
        self._closing.callback(process.kill)
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while True:
            with suppress(ConnectionError):
                self.ask("GET", "/version")
                return self
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace")
                self._closing.close()
                raise RuntimeError(f"toxiproxy did not start: {said}")
            time.sleep(0.05)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.close()

    @property
    def listeners(self) -> Mapping[str, Sequence[int]]:
        """The listeners of the brokers, one for each worker: an argument of `LocalKafka`."""
        return {f"WORKER{worker}": ports for worker, ports in enumerate(self._ports)}

    def connect(self, kafka: LocalKafka) -> None:
        """Make the proxies to brokers that have started with `listeners`."""
        proxies = [
            {
                "name": _name(worker, broker),
                "listen": f"{HOST}:{port}",
                "upstream": kafka.brokers[broker].listeners[f"WORKER{worker}"],
            }
            for worker, ports in enumerate(self._ports)
            for broker, port in enumerate(ports)
        ]
        self.ask("POST", "/populate", proxies)

    def bootstrap_servers(self, worker: int) -> str:
        """Return the addresses of all brokers for a worker."""
        return ",".join(f"{HOST}:{port}" for port in self._ports[worker])

    @asynccontextmanager
    async def toxic(
        self, worker: int, brokers: Sequence[int], kind: str, toxicity: float = 1, **attributes: int
    ) -> AsyncIterator[Sequence[str]]:
        """Put a toxic of toxiproxy on the connections of a worker to some brokers, both ways.

        `toxicity` is the share of connections that it strikes. Gives what `set_toxicity` takes.
        """
        number = next(self._numbers)  # others of its kind may be there
        made: list[str] = []
        try:
            for broker in brokers:
                toxics = f"{_path(worker, broker)}/toxics"
                for stream in ("upstream", "downstream"):
                    name = f"{kind}-{stream}-{number}"
                    toxic = {"name": name, "type": kind, "stream": stream, "toxicity": toxicity}
                    await self._tell("POST", toxics, toxic | {"attributes": attributes})
                    made.append(f"{toxics}/{name}")
            yield made
        finally:
            for path in made:
                await self._tell("DELETE", path)

    async def set_toxicity(self, toxics: Sequence[str], toxicity: float) -> None:
        """Set the share of connections that toxics strike; it is drawn again for each."""
        for path in toxics:
            await self._tell("PATCH", path, {"toxicity": toxicity})

    @asynccontextmanager
    async def disabled(self, worker: int, broker: int) -> AsyncIterator[None]:
        """Close the connections of a worker to a broker, and refuse new ones."""
        await self._tell("PATCH", _path(worker, broker), {"enabled": False})
        try:
            yield
        finally:
            await self._tell("PATCH", _path(worker, broker), {"enabled": True})

    async def _tell(self, method: str, path: str, what: object = None) -> None:
        await asyncio.to_thread(self.ask, method, path, what)

    def ask(self, method: str, path: str, what: object = None) -> Any:
        """Send a request to toxiproxy and return its answer."""
        connection = HTTPConnection(HOST, self._port, timeout=_ANSWERS_WITHIN_S)
        try:
            connection.request(method, path, None if what is None else json.dumps(what))
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status == SERVICE_UNAVAILABLE:
            return None  # a client that is suspended does not read: done once it does
        if answer.status >= BAD_REQUEST:
            raise RuntimeError(f"toxiproxy refused {method} {path}: {said!r}")
        return json.loads(said) if said else None


def _path(worker: int, broker: int) -> str:
    return f"/proxies/{_name(worker, broker)}"


def _name(worker: int, broker: int) -> str:
    return f"worker-{worker}-broker-{broker}"


def slow(network: Network, worker: int, random: Random) -> Held:
    """Delay what a worker and the brokers send to each other, by times that differ."""
    latency = random.randint(20, 500)
    brokers = network.brokers
    return network.toxic(worker, brokers, "latency", latency=latency, jitter=latency // 2)


def narrow(network: Network, worker: int, random: Random) -> Held:
    """Let few KB a second pass on each connection of a worker."""
    rate = random.randint(10, 200)
    return network.toxic(worker, network.brokers, "bandwidth", rate=rate)


def half_open(network: Network, worker: int, _random: Random) -> Held:
    """Keep a worker's connections open and accept new ones, while nothing passes; then end them."""
    return network.toxic(worker, network.brokers, "timeout", timeout=0)


def silent(network: Network, worker: int, random: Random) -> Held:
    """Keep a worker's connections to one broker open, while nothing passes; then end them."""
    return network.toxic(worker, [random.choice(network.brokers)], "timeout", timeout=0)


def cut_off(network: Network, worker: int, random: Random) -> Held:
    """Make one broker unreachable from a worker: its connections are closed, new ones refused."""
    return network.disabled(worker, random.choice(network.brokers))


async def resets(network: Network, worker: int, random: Random) -> None:
    """Reset all connections of a worker, several times, and let it reconnect in between."""
    async with network.toxic(worker, network.brokers, "reset_peer", toxicity=0) as toxics:
        for _ in range(random.randint(2, 6)):
            await asyncio.sleep(random.uniform(0.5, 2))
            await network.set_toxicity(toxics, 1)
            await asyncio.sleep(random.uniform(0.1, 0.5))
            await network.set_toxicity(toxics, 0)


def _held(fault: Callable[[Network, int, Random], Held]) -> Fault:
    """Return a fault that lasts less than the session of a worker, or longer."""

    async def hold(network: Network, worker: int, random: Random) -> None:
        async with fault(network, worker, random):
            await asyncio.sleep(random.uniform(3, 15))

    return hold


FAULTS: Final[Mapping[str, Fault]] = {
    "slow": _held(slow),
    "narrow": _held(narrow),
    "resets": resets,
    "half_open": _held(half_open),
    "silent": _held(silent),
    "cut_off": _held(cut_off),
}
"""What goes wrong between a worker and the brokers: each makes it, and takes it away again."""
