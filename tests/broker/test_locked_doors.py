"""SASL_SSL by the seed's variables, for producer and worker, and a password that nobody prints."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from dedup.demo.example import differences
from dedup.kafka import connecting
from dedup.kafka.connecting import connection_fault, explain_connection
from dedup.localkafka.ports import free_port
from dedup.settings import load_settings
from producer.settings import load_settings as load_producer_settings
from tests.broker.locked import MECHANISMS, PASSWORD, USER, LockedKafka, locked_kafka
from tests.support.topics import Records, emissions, judge
from tests.support.workers import Names, WorkerProcess, wait_until_counted

EVENTS = 400
WRONG = "wrong-password-7731"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LockedKafka]:
    with locked_kafka(tmp_path_factory.mktemp("locked")) as broker:
        yield broker


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a module of ours with these settings and no others."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DEDUP_", "KAFKA_"))}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=Path(__file__).parents[2],
        env=kept | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def read(environ: dict[str, str], topic: str) -> Records:
    """Read what is committed on a topic, by the way that the settings describe."""
    partitions = [TopicPartition(topic, number) for number in range(4)]
    found: Records = {partition.partition: [] for partition in partitions}
    consumer = AIOKafkaConsumer(
        **load_settings(environ).kafka_client(),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    async with consumer, asyncio.timeout(30):
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                found[partition.partition] += records
    return found


@pytest.mark.parametrize(("mechanism", "log"), [("PLAIN", "text"), ("SCRAM-SHA-512", "json")])
async def test_producer_and_worker_go_through_a_locked_door_and_tell_nobody_the_key(
    locked: LockedKafka, tmp_path: Path, mechanism: str, log: str
) -> None:
    names = Names.fresh()
    environ = {**locked.settings(mechanism), **names.settings, "DEDUP_LOG_FORMAT": log}
    with WorkerProcess(locked.bootstrap_servers, tmp_path / "state", environ) as worker:
        worker.wait_until_ready()
        sent = run("producer", "--count", str(EVENTS), "--rate", "0", "--seed", "1", **environ)
        assert sent.returncode == 0, sent.stderr
        assert wait_until_counted(EVENTS, worker).total() == EVENTS
        process = psutil.Process(worker.process.pid)
        title = " ".join([process.name(), *process.cmdline()])
        metrics = "\n".join(worker.metrics())
        assert worker.terminate() == 0

    source = judge(await read(environ, names.source))
    output = emissions(await read(environ, names.states))
    assert source.outcomes.total() == EVENTS
    assert differences(source.emitted, output) == []
    for printed in (worker.log(), sent.stdout, sent.stderr, title, metrics):
        assert printed
        assert PASSWORD not in printed


REFUSALS: list[tuple[dict[str, str], str]] = [
    ({"KAFKA_PASSWORD": WRONG}, f"did not accept KAFKA_USER={USER} with its KAFKA_PASSWORD"),
    ({"KAFKA_USER": "nobody"}, "did not accept KAFKA_USER=nobody"),
    ({"KAFKA_SASL_MECHANISM": "SCRAM-SHA-256"}, "not offer KAFKA_SASL_MECHANISM=SCRAM-SHA-256"),
    ({"KAFKA_CERT": ""}, "can't be trusted (self-signed certificate in certificate chain)"),
    ({"KAFKA_CERT": "stranger"}, "set KAFKA_CERT to the file of the CA that signed it"),
    ({"KAFKA_BOOTSTRAP_SERVERS": "localhost"}, "Hostname mismatch"),
    ({"KAFKA_SECURITY_PROTOCOL": "SSL"}, "KAFKA_SECURITY_PROTOCOL=SSL to what that port speaks"),
    ({"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "KAFKA_SECURITY_PROTOCOL=PLAINTEXT to what"),
    ({"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT to"),
]


def changed(
    locked: LockedKafka, change: dict[str, str], mechanism: str = "PLAIN"
) -> dict[str, str]:
    """The settings that open the broker, with a change that keeps it closed."""
    environ = locked.settings(mechanism) | change
    if environ["KAFKA_CERT"] == "stranger":
        environ["KAFKA_CERT"] = str(locked.stranger)
    if environ["KAFKA_BOOTSTRAP_SERVERS"] == "localhost":  # the certificate is for 127.0.0.1
        port = locked.bootstrap_servers.rpartition(":")[2]
        environ["KAFKA_BOOTSTRAP_SERVERS"] = f"localhost:{port}"
    return environ


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_a_broker_that_lets_us_in_needs_no_explanation(
    locked: LockedKafka, mechanism: str
) -> None:
    assert await connection_fault(load_settings(locked.settings(mechanism))) is None


@pytest.mark.parametrize(("change", "expected"), REFUSALS)
async def test_a_refusal_that_lasts_is_explained(
    locked: LockedKafka, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr(connecting, "CLOSED_PAUSE_S", 0.1)
    sentence = await explain_connection(load_settings(changed(locked, change)))
    assert sentence is not None  # a fault that waiting may mend gives none
    assert expected in sentence
    assert WRONG not in sentence
    assert PASSWORD not in sentence


async def test_the_password_of_scram_is_refused_as_that_of_plain_is(locked: LockedKafka) -> None:
    settings = load_settings(changed(locked, {"KAFKA_PASSWORD": WRONG}, "SCRAM-SHA-512"))
    assert "KAFKA_SASL_MECHANISM=SCRAM-SHA-512" in (await explain_connection(settings) or "")


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SSL"])
async def test_a_broker_without_locks_is_explained_too(kafka: str, protocol: str) -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_SECURITY_PROTOCOL": protocol,
        "KAFKA_USER": USER,
        "KAFKA_PASSWORD": PASSWORD,
    }
    assert f"KAFKA_SECURITY_PROTOCOL={protocol}" in (
        await explain_connection(load_settings(environ)) or ""
    )


@pytest.mark.parametrize("server", ["127.0.0.1:{}", "no-such-host.invalid:{}"])
async def test_what_waiting_may_mend_is_no_refusal(server: str) -> None:
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": server.format(free_port())})
    fault = await connection_fault(settings)
    assert fault is not None
    assert fault.message.startswith(f"No broker answers at {settings.KAFKA_BOOTSTRAP_SERVERS}")
    assert not fault.lasting
    assert await explain_connection(settings) is None


async def test_one_broker_of_the_list_that_lets_us_in_is_enough(locked: LockedKafka) -> None:
    servers = f"127.0.0.1:{free_port()},{locked.bootstrap_servers}"
    environ = locked.settings("PLAIN") | {"KAFKA_BOOTSTRAP_SERVERS": servers}
    assert await connection_fault(load_settings(environ)) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"KAFKA_PASSWORD": WRONG}, f"did not accept KAFKA_USER={USER}"),
        ({"KAFKA_CERT": "stranger"}, "can't be trusted (self-signed certificate"),
        ({"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
    ],
)
def test_the_producer_is_refused_in_one_sentence(
    locked: LockedKafka, change: dict[str, str], expected: str
) -> None:
    done = run("producer", "--count", "1", **changed(locked, change))
    assert (done.returncode, done.stdout) == (1, "")
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert WRONG not in done.stderr
    assert PASSWORD not in done.stderr


def test_a_worker_listens_on_loopback_only(kafka: str, tmp_path: Path) -> None:
    with WorkerProcess(kafka, tmp_path / "state", Names.fresh().settings) as worker:
        worker.wait_until_ready()
        sockets = psutil.Process(worker.process.pid).net_connections(kind="inet")
        listening = [s.laddr for s in sockets if s.status == psutil.CONN_LISTEN]
        assert listening == [("127.0.0.1", worker.port)]


def test_a_worker_is_not_opened_to_the_network_by_faust_s_option(
    kafka: str, tmp_path: Path
) -> None:
    environ = {**Names.fresh().settings, "KAFKA_BOOTSTRAP_SERVERS": kafka}
    environ |= {"DEDUP_DATA_DIR": str(tmp_path / "state"), "DEDUP_WEB_PORT": str(free_port())}
    done = run("faust", "-A", "dedup", "worker", "--web-bind", "0.0.0.0", **environ)  # noqa: S104
    assert done.returncode == 1
    assert "--web-bind=0.0.0.0 offers the worker's pages to the network" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("producer", "--help"),
        ("faust", "-A", "dedup", "--help"),
        ("faust", "-A", "dedup", "agents"),
        ("faust", "-A", "dedup", "worker", "--help"),
        ("docs.generate.configuration",),
    ],
)
def test_no_help_shows_a_secret(locked: LockedKafka, command: tuple[str, ...]) -> None:
    token = "web-token-0123456789"  # noqa: S105 - opens nothing
    done = run(*command, **locked.settings("PLAIN"), DEDUP_WEB_TOKEN=token)
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert token not in done.stdout + done.stderr


def test_settings_of_worker_and_producer_print_no_password(locked: LockedKafka) -> None:
    environ = locked.settings("PLAIN")
    for settings in (load_settings(environ), load_producer_settings(environ)):
        for text in (repr(settings), str(settings), str(settings.model_dump())):
            assert USER in text
            assert PASSWORD not in text
