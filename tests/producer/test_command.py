"""`product-producer` against a real broker, and without any."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import murmur2
from click.testing import CliRunner

import producer.kafka
from dedup.kafka.admin import TopicError
from dedup.localkafka import LocalKafka
from producer.__main__ import main
from producer.connect import ProducerError
from producer.events import EventGenerator, Mix
from producer.kafka import EventSender, produce
from producer.settings import ProducerSettings, load_settings

ROOT = Path(__file__).parents[2]
SECRET = "correct horse"  # noqa: S105 - opens nothing


@pytest.fixture
def kafka(kafka: str, request: pytest.FixtureRequest) -> ProducerSettings:
    """Settings with a topic of the test's own."""
    topic = request.node.name[:200].translate({ord(c): "_" for c in "[]. "})
    return load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, "KAFKA_PRODUCT_TOPIC": topic})


def start(environ: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")}
    return subprocess.Popen(
        [sys.executable, "-m", "producer", *arguments],
        cwd=ROOT,
        env=kept | {"PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"} | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def run(environ: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    process = start(environ, *arguments)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def environ_of(kafka: ProducerSettings) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.KAFKA_BOOTSTRAP_SERVERS,
        "KAFKA_PRODUCT_TOPIC": kafka.KAFKA_PRODUCT_TOPIC,
    }


async def read_all(kafka: ProducerSettings) -> list[Any]:
    """Every record of the topic, none if there is no topic; a partition's are in their order."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.KAFKA_BOOTSTRAP_SERVERS, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        await consumer._client.add_topic(kafka.KAFKA_PRODUCT_TOPIC)
        numbers = consumer.partitions_for_topic(kafka.KAFKA_PRODUCT_TOPIC) or ()
        partitions = [TopicPartition(kafka.KAFKA_PRODUCT_TOPIC, number) for number in numbers]
        consumer.assign(partitions)
        left = sum((await consumer.end_offsets(partitions)).values())
        records: list[Any] = []
        while len(records) < left:
            for batch in (await consumer.getmany(timeout_ms=1_000)).values():
                records += batch
        return records
    finally:
        await consumer.stop()


def test_help_shows_every_option_and_examples() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    options = "count rate duplicates seed products late deletes partial invalid quiet"
    options += " redeliveries reverts"
    for option in options.split():
        assert f"--{option}" in result.output
    assert "product-producer --count 20000 --rate 0" in result.output
    assert "KAFKA_BOOTSTRAP_SERVERS" in result.output


def test_shares_above_one_are_refused_before_anything_is_sent() -> None:
    result = CliRunner().invoke(main, ["--late", "0.6", "--partial", "0.6"])
    assert result.exit_code == 2
    assert "add up to more than 1" in result.output


def test_a_bad_setting_is_a_sentence_and_exit_code_1() -> None:
    code, output, errors = run({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "--count", "1")
    assert (code, output) == (1, "")
    assert errors.startswith("Error: KAFKA_SECURITY_PROTOCOL=TLS is not accepted")
    assert len(errors.splitlines()) == 1


def test_an_unreachable_broker_is_a_sentence_and_exit_code_1() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: nobody else can take the port
        broker = f"127.0.0.1:{unused.getsockname()[1]}"
        code, output, errors = run({"KAFKA_BOOTSTRAP_SERVERS": broker})
    assert (code, output) == (1, "")
    assert errors == (
        f"Error: No broker answers at {broker} (nothing listens there). Start Kafka there, or set "
        "KAFKA_BOOTSTRAP_SERVERS to what it listens on.\n"
    )


def test_a_broker_that_never_answers_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        broker = f"127.0.0.1:{silent.getsockname()[1]}"
        code, _, errors = run({"KAFKA_BOOTSTRAP_SERVERS": broker})
    assert code == 1
    assert "no answer in 4 s" in errors
    assert len(errors.splitlines()) == 1


async def test_a_run_puts_its_count_into_a_new_topic_keyed_by_product(
    kafka: ProducerSettings,
) -> None:
    code, output, errors = run(environ_of(kafka), "--count", "50", "--rate", "0", "--seed", "1")
    assert code == 0, errors
    assert output.startswith("✅ Sent 50 events, ")
    records = await read_all(kafka)
    assert len(records) == 50
    for record in records:
        assert b'"product":{"product_id":%s,' % record.key in record.value
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 4


async def test_produce_keeps_the_order_of_every_key_and_reports_what_was_sent(
    kafka: ProducerSettings,
) -> None:
    """More than a partition's batch holds, so that batches follow each other."""
    generator = EventGenerator(1, lambda: datetime.now(UTC), Mix(late=0.1, invalid=0.05))
    events = list(islice(generator, 6_000))
    totals: list[int] = []
    assert await produce(events, kafka, totals.append) == 6_000
    assert totals == sorted(set(totals))
    assert totals[-1] == 6_000
    assert len(totals) > 4
    wanted, found = defaultdict(list), defaultdict(list)
    for event in events:
        wanted[event.key].append(event.value)
    for record in await read_all(kafka):
        found[record.key].append(record.value)
    keyless = [values.pop(None) for values in (wanted, found)]
    assert sorted(keyless[0]) == sorted(keyless[1])
    assert found == wanted


async def test_nothing_to_produce_is_nothing_sent(kafka: ProducerSettings) -> None:
    assert await produce([], kafka) == 0


async def test_an_existing_topic_keeps_its_partitions(kafka: ProducerSettings) -> None:
    one = kafka.model_copy(update={"DEDUP_PARTITIONS": 1})
    for settings in (one, kafka):
        events = EventGenerator(1, lambda: datetime.now(UTC))
        await produce(islice(events, 100), settings)
    records = await read_all(kafka)
    assert len(records) == 200
    assert {record.partition for record in records} == {0}


async def test_a_topic_that_can_not_be_created_is_a_sentence(kafka: ProducerSettings) -> None:
    replicated = kafka.model_copy(update={"DEDUP_REPLICATION_FACTOR": 3})
    with pytest.raises(TopicError, match="DEDUP_REPLICATION_FACTOR=3"):
        await produce([], replicated)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (signal.SIGINT, ()),
        (signal.SIGINT, ("--rate", "0")),
        (signal.SIGINT, ("--rate", "0.1", "--quiet")),
        (signal.SIGTERM, ("--rate", "500")),
    ],
)
async def test_a_signal_ends_an_endless_run_in_order(
    kafka: ProducerSettings, name: signal.Signals, arguments: tuple[str, ...]
) -> None:
    process = start(environ_of(kafka), *arguments)
    while not await read_all(kafka):
        assert process.poll() is None
        await asyncio.sleep(0.2)
    process.send_signal(name)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    summary = output.splitlines()[-1]
    assert summary.startswith("✅ Sent ")
    sent = int(summary.split()[2].replace(",", ""))
    assert sent > 0
    assert len(await read_all(kafka)) == sent


def test_lines_are_printed_at_rates_that_can_be_read(kafka: ProducerSettings) -> None:
    mix = ("--late", "0.2", "--partial", "0.2", "--invalid", "0.2", "--deletes", "0.1")
    code, output, errors = run(
        environ_of(kafka), "--count", "60", "--rate", "100", "--seed", "1", *mix
    )
    assert (code, errors) == (0, "")
    for word in ("📦 Sent event: ", "🔄", "🕰️", "🗑️", "🧩", "🚫", "💰", "✅"):
        assert word in output


def test_a_quiet_run_shows_its_progress_on_stderr_only(kafka: ProducerSettings) -> None:
    code, output, errors = run(environ_of(kafka), "--count", "30", "--rate", "100", "--quiet")
    assert code == 0
    assert len(output.splitlines()) == 1
    assert "30 events" in errors


def test_a_wrong_protocol_is_a_sentence(kafka: ProducerSettings) -> None:
    environ = environ_of(kafka) | {"KAFKA_USER": "me", "KAFKA_PASSWORD": SECRET}
    code, _, errors = run(environ | {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"})
    assert code == 1
    assert "does not use SASL" in errors
    code, _, errors = run(environ | {"KAFKA_SECURITY_PROTOCOL": "SSL"})
    assert code == 1
    assert "KAFKA_SECURITY_PROTOCOL=SSL" in errors


def test_a_broker_that_is_gone_in_the_middle_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lose(broker: LocalKafka) -> None:
        kafka = load_settings({"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers})
        events = EventGenerator(1, lambda: datetime.now(UTC))
        async with EventSender(kafka) as sender:
            await sender.add(next(events))
            await sender.flush()
            broker.kill()  # only from now on is a second too long: a busy broker may take more
            monkeypatch.setattr(producer.kafka, "ACKNOWLEDGE_WITHIN_S", 1.0)
            await sender.add(next(events))
            with pytest.raises(ProducerError, match="has acknowledged nothing for 1 s"):
                await sender.flush()
            assert sender.sent == 1

    with LocalKafka() as broker:
        asyncio.run(lose(broker))


def test_the_user_is_authenticated_and_a_wrong_password_is_a_sentence() -> None:
    login = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="me" password="{SECRET}" user_me="{SECRET}";'
    )
    properties = {
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": login,
    }
    with LocalKafka(properties=properties) as broker:
        environ = {
            "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_USER": "me",
            "KAFKA_PASSWORD": SECRET,
        }
        once = ("--count", "5", "--rate", "0")
        code, output, errors = run(environ, *once)
        assert code == 0, errors
        assert SECRET not in output + errors
        wrong = [
            ({"KAFKA_PASSWORD": "not it"}, "did not accept KAFKA_USER=me"),
            ({"KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"}, "KAFKA_SASL_MECHANISM=SCRAM-SHA-512"),
            ({"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
        ]
        for change, expected in wrong:
            code, output, errors = run(environ | change, *once)
            assert (code, output) == (1, "")
            assert expected in errors
            assert len(errors.splitlines()) == 1
            assert "not it" not in errors
            assert SECRET not in errors
