"""Record headers whose keys are not UTF-8: brokers take them, so events come with them."""

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner

from dedup.cli import cli
from dedup.core.batch_result import OutputRecord
from dedup.dlq.record import replayed_position
from dedup.kafka.header_keys import RawKey, create_batch
from dedup.localkafka import LocalKafka
from tests.support.records import event
from tests.support.topics import emissions, partition_of, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess

LATIN = "caf\xe9".encode("latin-1")
NOISE = b"\xff\xfe\x00-trace"
HOME = partition_of(b"7")


def raw(key: bytes) -> RawKey:
    return RawKey(key.decode("utf-8", "surrogateescape"))


HEADERS: list[tuple[str, bytes | None]] = [
    (raw(LATIN), b"1"),
    ("trace", b"abc"),
    (raw(NOISE), None),
    ("d\xe9j\xe0", b"2"),
]


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalKafka]:
    """A broker whose files can be looked into."""
    with LocalKafka() as started:
        yield started


async def append(broker: LocalKafka, topic: str, *records: OutputRecord) -> None:
    """Append records as one batch, in the partition of product 7."""
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all") as producer:
        batch = create_batch(producer, records)
        for each in records:
            batch.append(timestamp=None, key=each.key, value=each.value, headers=each.headers)
        await (await producer.send_batch(batch, topic, partition=HOME))


def on_disk(broker: LocalKafka, topic: str) -> bytes:
    """The bytes of the partition, as the broker keeps them."""
    segments = (broker.data_dir / "data" / f"{topic}-{HOME}").glob("*.log")
    return b"".join(path.read_bytes() for path in sorted(segments))


def run(broker: LocalKafka, names: Names, *arguments: str) -> list[Any]:
    others = dict.fromkeys(n for n in os.environ if n.startswith(("DEDUP_", "KAFKA_")))
    environ = others | {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers, **names.settings}
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(CliRunner().invoke, cli, [*arguments, "--json"], env=environ)
    assert result.result().exit_code == 0, result.result().output
    return [json.loads(line) for line in result.result().stdout.splitlines()]


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
async def test_an_event_is_applied_or_a_dead_letter_whatever_its_headers_are(
    broker: LocalKafka, tmp_path: Path, guarantee: str
) -> None:
    """The dead letter has the headers byte by byte, and so has its replay."""
    kafka, names = broker.bootstrap_servers, Names.fresh()
    settings = names.settings | {"DEDUP_GUARANTEE": guarantee}
    with WorkerProcess(kafka, tmp_path / "state", settings) as worker:
        worker.wait_until_ready()
        await append(
            broker,
            names.source,
            OutputRecord(b"7", event(7, number=1, price="1.00"), []),
            OutputRecord(b"7", event(7, number=2, price="2.00"), HEADERS),
            OutputRecord(b"7", b"{", HEADERS),
            OutputRecord(b"7", event(7, number=3, price="3.00"), [("trace", b"abc")]),
        )
        await wait_until_done(kafka, names)
        assert run(broker, names, "dlq", "replay", "--all", "--yes") == [{"replayed": 1}]
        await wait_until_done(kafka, names)
        assert worker.terminate() == 0
    assert emissions(await read_topic(kafka, names.states)) == {7: ["evt_1", "evt_2", "evt_3"]}
    on_topic = (await read_topic(kafka, names.dead_letters))[HOME]
    letters = [letter for letter in on_topic if replayed_position(letter.headers) is None]
    assert len(on_topic) == len(letters) + 1, "the replayed one is marked"
    wanted = [(key.encode(), value) for key, value in HEADERS]
    assert [
        [(key.encode(), value) for key, value in letter.headers[: len(HEADERS)]]
        for letter in letters
    ] == [wanted, wanted]
    for topic, times in ((names.source, 3), (names.dead_letters, 2)):
        stored = on_disk(broker, topic)
        assert (stored.count(LATIN), stored.count(NOISE)) == (times, times)
    (listed, _), (shown,) = (
        run(broker, names, "dlq", "list"),
        run(broker, names, "dlq", "show", str(HOME), str(letters[0].offset)),
    )
    assert listed["reason"] == "invalid_json"
    assert shown["headers"][:4] == [
        ["caf\\xe9", "1"],
        ["trace", "abc"],
        ["\\xff\\xfe\\x00-trace", None],
        ["d\xe9j\xe0", "2"],
    ]
    told = run(broker, names, "tail", "--from-beginning", "--until-end")
    assert [each["outcome"] for each in told] == [
        *("change", "change", "dead_letter", "change", "dead_letter")
    ]
    assert run(broker, names, "verify")[0]["sound"]


async def test_a_stranger_s_row_is_recovered_whatever_its_headers_are(
    broker: LocalKafka, tmp_path: Path
) -> None:
    """Another writer's row is known after a rebuild: the same content is not emitted again."""
    kafka, names = broker.bootstrap_servers, Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await append(broker, names.source, OutputRecord(b"7", event(7, number=1), []))
        await wait_until_done(kafka, names)
        (row,) = (await read_topic(kafka, names.states))[HOME]
        worker.kill()
        worker.log_path.unlink()
        shutil.rmtree(worker.data_dir)
        other = row.value.replace(b'"10.00"', b'"11.00"')
        await append(broker, names.states, OutputRecord(row.key, other, HEADERS))
        worker.start()
        worker.wait_until_ready()
        await append(
            broker, names.source, OutputRecord(b"7", event(7, number=5, price="11.00"), [])
        )
        await wait_until_done(kafka, names)
        assert worker.terminate() == 0
    assert len((await read_topic(kafka, names.states))[HOME]) == 2
    assert len(run(broker, names, "inspect", "7")[0]["history"]) == 2
