"""A product is where its events are, whichever clients wrote them."""

import asyncio
from pathlib import Path
from zlib import crc32

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from click.testing import CliRunner

from dedup.state.data_directory import partitions_before, placed_by_json_key
from producer.__main__ import main
from tests.cli.topics import Topics
from tests.support.records import event
from tests.support.topics import read_topic, wait_until_done
from tests.support.workers import WorkerProcess

PRODUCTS = range(1, 201)


def by_crc32(product_id: int, partitions: int = 4) -> int:
    return crc32(b"%d" % product_id) % partitions


def by_murmur2(product_id: int, partitions: int = 4) -> int:
    return (int(murmur2(b"%d" % product_id)) & 0x7FFFFFFF) % partitions


async def test_products_that_librdkafka_placed_are_found_and_have_no_fault(
    kafka: str, tmp_path: Path
) -> None:
    """Two workers, 200 products by CRC32; then one product by Kafka's own clients too."""
    topics = await Topics.made(kafka)
    names = topics.names
    moved = next(i for i in PRODUCTS if by_crc32(i) != by_murmur2(i))
    workers = [WorkerProcess(kafka, tmp_path / name, names.settings) for name in ("a", "b")]
    with workers[0], workers[1]:
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            for product_id in PRODUCTS:
                key, partition = b"%d" % product_id, by_crc32(product_id)
                await producer.send(names.source, event(product_id), key, partition)
            await producer.flush()
            await wait_until_done(kafka, names)
            assert topics.faults() == {}
            shown = topics.json_of("inspect", str(moved))
            assert shown["partitions"] == [by_crc32(moved)]
            assert [e["outcome"] for e in shown["events"]] == ["change"]
            assert shown["events"][0]["emitted_at"] == shown["history"][0]["offset"]
            missing = by_murmur2(moved)
            nothing = topics.invoke("inspect", str(moved), "--partition", str(missing))
            assert nothing.exit_code == 1
            assert f"in partition {missing}." in nothing.stderr
            await producer.send_and_wait(
                *(names.source, event(moved, number=2, price="12.00")),
                *(b"%d" % moved, by_murmur2(moved)),
            )
        await wait_until_done(kafka, names)
        assert topics.faults() == {"keys, rows, partitions, fingerprints": (1, 0)}
        said = topics.invoke("verify").stdout
        for partition, how in ((by_crc32(moved), "CRC32"), (by_murmur2(moved), "murmur2")):
            sentence = next(line for line in said.splitlines() if f"Product {moved} " in line)
            place = sentence[sentence.index(f" {partition} (") :]
            assert how in place[: place.index(" place it")]
        shown = topics.json_of("inspect", str(moved))
        assert shown["partitions"] == sorted([by_crc32(moved), by_murmur2(moved)])
        assert [e["outcome"] for e in shown["events"]] == ["change", "change"]
        assert shown["row"]["price"] == "12.00"
        for worker in workers:
            assert worker.terminate() == 0


def test_the_producer_partitions_as_its_option_says(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = asyncio.run(Topics.made(kafka))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("KAFKA_PRODUCT_TOPIC", topics.names.source)
    options = ["--count", "300", "--rate", "0", "--products", "60", "--partitioner", "crc32"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    source = asyncio.run(read_topic(kafka, topics.names.source))
    placed = {int(r.key): partition for partition, records in source.items() for r in records}
    assert len(placed) > 20
    assert placed == {product_id: by_crc32(product_id) for product_id in placed}


@pytest.mark.parametrize("partitions", [2, 3, 4, 6, 12, 64])
@pytest.mark.parametrize("first", [1, 1_000, 10**6, 10**9, 2**62])
def test_no_topic_that_librdkafka_filled_is_taken_for_one_that_grew(
    partitions: int, first: int
) -> None:
    """Recovery refuses topics that grew, by the partitions of products; CRC32 is no sign of it."""
    for partition in range(partitions):
        here = [i for i in range(first, first + 4_000) if by_crc32(i, partitions) == partition]
        for products in (here[:20], here[-20:], here):
            assert len(products) >= 20
            keys = [b"%d" % i for i in products]
            in_json = [b'{"product_id":%d}' % i for i in products]
            assert partitions_before(keys, partition, partitions) is None
            assert not placed_by_json_key(in_json, partition, partitions)
