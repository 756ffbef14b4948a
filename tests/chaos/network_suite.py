"""Each fault of the network does what it says, and to one worker only; it needs toxiproxy."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from dedup.localkafka import LocalKafka
from tests.chaos.network import FAULTS, Network, cut_off, half_open, narrow, silent, slow
from tests.support.administration import admin
from tests.support.topics import read_topic

BROKERS = range(3)
SEED = 5
WITHIN_S = 60


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Two workers, of which only the clients are here, and three brokers."""
    with (
        Network(2, len(BROKERS)) as proxies,
        LocalKafka(brokers=3, listeners=proxies.listeners) as kafka,
    ):
        proxies.connect(kafka)
        yield proxies


class Shortest(Random):
    """Draws the shortest of times."""

    def uniform(self, a: float, _b: float) -> float:
        return a


class Least(Shortest):
    """Draws the least of numbers too."""

    def randint(self, a: int, _b: int) -> int:
        return a


def address(network: Network, worker: int, broker: int) -> tuple[str, int]:
    host, port = network.bootstrap_servers(worker).split(",")[broker].split(":")
    return host, int(port)


@asynccontextmanager
async def connection(network: Network, worker: int, broker: int) -> AsyncIterator[Any]:
    """A client's connection from a worker to a broker, which has answered."""
    made = await create_conn(*address(network, worker, broker), request_timeout_ms=WITHIN_S * 1000)
    try:
        yield made
    finally:
        await made.close()


async def advertised(connection: Any) -> str:
    """Ask a broker for the addresses of all."""
    answer = await connection.send(MetadataRequest([]))
    return ",".join(f"{host}:{port}" for _, host, port, _ in sorted(answer.brokers))


async def reached(network: Network, worker: int, brokers: Any = BROKERS) -> list[int]:
    """The brokers that answer a worker; what it gets from them are its own proxies."""
    found = []
    for broker in brokers:
        try:
            async with connection(network, worker, broker) as made:
                assert await advertised(made) == network.bootstrap_servers(worker)
                found.append(broker)
        except (KafkaConnectionError, OSError):
            continue
    return found


@asynccontextmanager
async def producing(network: Network, worker: int) -> AsyncIterator[AIOKafkaProducer]:
    servers = network.bootstrap_servers(worker)
    async with AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True) as producer:
        yield producer


async def create(network: Network, topic: str) -> str:
    """Create a topic with a partition that each broker leads."""
    async with admin(network.bootstrap_servers(1)) as client:
        placed = {broker: [broker + 1] for broker in BROKERS}
        await client.create_topics([NewTopic(topic, -1, -1, replica_assignments=placed)])
    return topic


async def values(network: Network, worker: int, topic: str) -> list[list[bytes]]:
    found = await read_topic(network.bootstrap_servers(worker), topic, len(BROKERS))
    return [[record.value for record in found[partition]] for partition in BROKERS]


async def test_each_client_stays_behind_its_own_proxies(network: Network) -> None:
    """And each of these leads to its own broker: only the leader of a partition accepts records."""
    mine, yours = (network.bootstrap_servers(worker).split(",") for worker in (0, 1))
    assert len({*mine, *yours}) == 6
    for worker in (0, 1):
        assert await reached(network, worker) == [*BROKERS]
    topic = await create(network, "proxies")
    async with producing(network, 0) as producer:
        for partition in BROKERS:
            await producer.send_and_wait(topic, b"value", partition=partition)
    assert await values(network, 1, topic) == [[b"value"]] * 3


async def test_cut_off_one_worker_alone_does_not_reach_one_broker(network: Network) -> None:
    broker = Random(SEED).choice(BROKERS)
    async with connection(network, 0, broker) as made, cut_off(network, 0, Random(SEED)):
        with pytest.raises(KafkaConnectionError):
            await advertised(made)
        assert await reached(network, 0) == [each for each in BROKERS if each != broker]
        assert await reached(network, 1) == [*BROKERS]
    assert await reached(network, 0) == [*BROKERS]


async def test_half_open_connections_are_accepted_and_nothing_passes(network: Network) -> None:
    """Neither on those that were there nor on new ones; when it is over a client continues."""
    topic = await create(network, "half-open")
    async with connection(network, 0, 0) as made, producing(network, 0) as producer:
        await producer.send_and_wait(topic, b"early", partition=0)
        async with half_open(network, 0, Random(SEED)):
            asking = asyncio.create_task(advertised(made))
            connecting = [
                asyncio.create_task(create_conn(*address(network, 0, broker))) for broker in BROKERS
            ]
            sending = asyncio.create_task(producer.send_and_wait(topic, b"late", partition=0))
            for broker in BROKERS:
                _, writer = await asyncio.open_connection(*address(network, 0, broker))
                writer.close()
            assert await reached(network, 1) == [*BROKERS]
            assert await values(network, 1, topic) == [[b"early"], [], []]
            assert not any(task.done() for task in (asking, *connecting, sending))
        ended = await asyncio.gather(asking, *connecting, return_exceptions=True)
        assert [type(each) for each in ended] == [KafkaConnectionError] * 4
        await asyncio.wait_for(sending, WITHIN_S)
    assert await values(network, 1, topic) == [[b"early", b"late"], [], []]


async def test_silent_one_broker_does_not_answer_one_worker(network: Network) -> None:
    broker = Random(SEED).choice(BROKERS)
    async with connection(network, 0, broker) as made:
        async with silent(network, 0, Random(SEED)):
            asking = asyncio.create_task(advertised(made))
            others = [each for each in BROKERS if each != broker]
            assert await reached(network, 0, others) == others
            assert await reached(network, 1) == [*BROKERS]
            assert not asking.done()
        with pytest.raises(KafkaConnectionError):
            await asking
    assert await reached(network, 0) == [*BROKERS]


async def test_slow_each_request_and_each_response_takes_its_time(network: Network) -> None:
    """Of the latency that was drawn at least a half, in each direction."""
    clock = asyncio.get_running_loop().time
    latency = Random(SEED).randint(20, 500) / 1000
    async with connection(network, 0, 0) as made, slow(network, 0, Random(SEED)):
        for _ in range(3):
            begun = clock()
            assert await advertised(made) == network.bootstrap_servers(0)
            assert clock() - begun >= latency


async def test_narrow_much_takes_long_and_all_of_it_arrives(network: Network) -> None:
    """At the narrowest, a megabyte would take more than a minute."""
    topic, much = await create(network, "narrow"), b"x" * 900_000
    async with producing(network, 0) as first, producing(network, 1) as second:
        async with narrow(network, 0, Least(SEED)):
            sending = asyncio.create_task(first.send_and_wait(topic, much, partition=1))
            for _ in range(10):
                await second.send_and_wait(topic, much, partition=2)
            assert not sending.done()
        await asyncio.wait_for(sending, WITHIN_S)
    assert await values(network, 1, topic) == [[], [much], [much] * 10]


async def test_resets_end_connections_that_are_in_use(network: Network) -> None:
    """Those of one worker, by RST, several times."""
    ended: list[type[BaseException | None]] = []
    async with connection(network, 1, 0) as other:
        resetting = asyncio.create_task(FAULTS["resets"](network, 0, Shortest(SEED)))
        while not resetting.done():
            answers = 0
            try:
                async with connection(network, 0, 0) as made:
                    while not resetting.done():
                        await advertised(made)
                        answers += 1
            except KafkaConnectionError as error:
                if answers:
                    ended.append(type(error.__cause__))
            await advertised(other)
        await resetting
    assert len(ended) >= 3
    assert ConnectionResetError in ended
    assert await reached(network, 0) == [*BROKERS]


@pytest.mark.parametrize("worker", [0, 1])
async def test_all_faults_at_once_leave_nothing_behind(network: Network, worker: int) -> None:
    await asyncio.gather(*(fault(network, worker, Least(SEED)) for fault in FAULTS.values()))
    proxies = network.ask("GET", "/proxies").values()
    assert [(proxy["enabled"], proxy["toxics"]) for proxy in proxies] == [(True, [])] * 6
    assert await reached(network, worker) == [*BROKERS]
