"""The worker as users run it, on a real broker, judged by the oracle."""

import asyncio
import json
import shutil
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from dedup.demo.example import differences
from producer.events import EventGenerator, Mix
from tests.support.records import event
from tests.support.state_header import state_header
from tests.support.topics import emissions, end_of, judge, produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess

EVENTS = 50_000


def generated(count: int, seed: int, mix: Mix) -> list[tuple[bytes | None, bytes | None]]:
    generator = EventGenerator(seed, lambda: datetime(2026, 1, 1, tzinfo=UTC), mix)
    return [(e.key, e.value) for e in islice(generator, count)]


async def _wait_for_output(kafka: str, topic: str, records: int) -> None:
    async with asyncio.timeout(60):
        while await end_of(kafka, topic) < records:
            await asyncio.sleep(0.02)


async def test_kills_and_a_lost_disk_neither_lose_nor_repeat_a_change(
    kafka: str, tmp_path: Path
) -> None:
    """50,000 events; SIGKILL twice mid-stream, the second time the data directory goes too."""
    names = Names.fresh()
    mix = Mix(products=2_000, late=0.03, deletes=0.02, partial=0.05, invalid=0.01)
    records = generated(EVENTS, seed=3, mix=mix)
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        feeding = asyncio.ensure_future(_feed_slowly(kafka, names.source, records))
        await _wait_for_output(kafka, names.states, 5_000)
        worker.kill()
        worker.start()
        await _wait_for_output(kafka, names.states, 20_000)
        worker.kill()
        shutil.rmtree(worker.data_dir)
        worker.start()
        await feeding
        await wait_until_done(kafka, names)
        assert worker.terminate() == 0

    oracle = judge(await read_topic(kafka, names.source))
    output = await read_topic(kafka, names.states)
    assert oracle.outcomes.total() == EVENTS
    assert min(oracle.outcomes[o] for o in ("stale", "tombstone", "dead_letter")) > 100
    assert differences(oracle.emitted, emissions(output)) == []


async def _feed_slowly(
    kafka: str, topic: str, records: list[tuple[bytes | None, bytes | None]]
) -> None:
    """Feed while the worker works, so that kills hit it mid-stream."""
    for begin in range(0, len(records), 2_500):
        await produce(kafka, records[begin : begin + 2_500], topic)
        await asyncio.sleep(0.2)


async def test_output_stands_in_the_partition_of_its_source_with_flink_s_key(
    kafka: str, tmp_path: Path
) -> None:
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, generated(500, 5, Mix(products=50)), names.source)
        await wait_until_done(kafka, names)

    source = await read_topic(kafka, names.source)
    home = {int(r.key): p for p, records in source.items() for r in records}
    output = await read_topic(kafka, names.states)
    assert sum(map(len, output.values())) > 100
    for partition, records in output.items():
        for found in records:
            product_id = json.loads(found.key)["product_id"]
            assert found.key == b'{"product_id":%d}' % product_id
            assert home[product_id] == partition
            assert state_header(found.headers).partition == partition


async def test_a_worker_restarted_with_its_disk_reads_only_the_tail(
    kafka: str, tmp_path: Path
) -> None:
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, generated(2_000, 6, Mix(products=500)), names.source)
        await wait_until_done(kafka, names)
        worker.terminate()
        worker.log_path.unlink()
        worker.start()
        worker.wait_until_ready()

        assert "complete: 0 records" in worker.log()


async def test_states_of_a_flink_job_are_taken_over(kafka: str, tmp_path: Path) -> None:
    """Rows without our headers: what they say already is not emitted again."""
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()  # makes the topics
        worker.terminate()
    row = {
        "product_id": 1,
        "product_name": "Product 1",
        "description": None,
        "price": "1E+1",
        "stock_quantity": 1,
        "discount": 0,
        "last_event_timestamp": "2026-01-01 00:00:05",
    }
    key = b'{"product_id":1}'
    await produce(kafka, [(key, json.dumps(row).encode())], names.states, partition_key=b"1")
    await produce(
        kafka,
        [
            (b"1", event(number=4, price="99.00")),
            (b"1", event(number=6)),
            (b"1", event(number=7, price="11.00")),
        ],
        names.source,
    )
    with WorkerProcess(kafka, tmp_path / "other", names.settings) as worker:
        worker.wait_until_ready()
        await wait_until_done(kafka, names)

    output = [r for records in (await read_topic(kafka, names.states)).values() for r in records]
    assert [json.loads(r.value).get("last_event_id") for r in output] == [None, "evt_7"]


BAD_RECORDS: list[tuple[bytes | None, bytes | None]] = [
    (b"1", b'{"event_id": "evt_1", "action": '),
    (b"1", event(stock_quantity="many")),
    (b"1", event(price="-0.01")),
    (b"1", event(product_name="x" * 300)),
    (None, event()),
    (b"2", event()),
    (b"not-an-id", None),
    (None, None),
    (b"1", b"\xff\x00" * 500_000),
]


async def test_bad_records_become_dead_letters_byte_by_byte_and_the_rest_goes_on(
    kafka: str, tmp_path: Path
) -> None:
    names = Names.fresh()
    good = [(b"7", event(7, number=n, price=f"{n}.00")) for n in range(1, 4)]
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, [good[0], *BAD_RECORDS, good[1], (b"7", None), good[2]], names.source)
        await wait_until_done(kafka, names)

    letters = [r for rs in (await read_topic(kafka, names.dead_letters)).values() for r in rs]
    assert sorted(((r.key, r.value) for r in letters), key=repr) == sorted(BAD_RECORDS, key=repr)
    source = await read_topic(kafka, names.source)
    for letter in letters:
        headers = dict(letter.headers)
        assert headers["dedup.errors.reason"]
        assert headers["__streams.errors.topic"] == names.source.encode()
        partition = int(headers["__streams.errors.partition"])
        offset = int(headers["__streams.errors.offset"])
        original = next(r for r in source[partition] if r.offset == offset)
        assert (original.key, original.value) == (letter.key, letter.value)
    states = emissions(await read_topic(kafka, names.states))
    assert states == {7: ["evt_1", "evt_2", None, "evt_3"]}


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
async def test_compressed_events_are_read(kafka: str, tmp_path: Path, codec: str) -> None:
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        records = generated(300, 8, Mix(products=20))
        await produce(kafka, records, names.source, compression_type=codec)
        await wait_until_done(kafka, names)

    oracle = judge(await read_topic(kafka, names.source))
    output = emissions(await read_topic(kafka, names.states))
    assert differences(oracle.emitted, output) == []
