"""What latency is made of: the feed's times, the reader's, and the table of both."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from benchmarks.churn import Churn
from benchmarks.feed import Feed
from benchmarks.latency import Taken, markdown, summary
from benchmarks.reader import Reader, event_time_us
from benchmarks.workload import make_topics
from dedup.localkafka import LocalKafka
from producer.oracle import Oracle
from tests.support.topics import produce, read_topic

SECOND_US = 1_000_000


def row(second: int) -> bytes:
    """A row of an event of a second of 2026."""
    time = datetime(2026, 1, 1, 0, 0, second, 123456, tzinfo=UTC)
    return json.dumps({"product_id": 1, "last_event_timestamp": time.isoformat()}).encode()


def at_us(second: int) -> int:
    """The time of that event."""
    return int(datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC).timestamp()) * SECOND_US + 123456


async def test_the_feed_notes_every_event_after_the_warming_up(kafka: LocalKafka) -> None:
    servers = kafka.bootstrap_servers
    await make_topics(servers, ["fed"], 4, {})
    feed = Feed("fed", 500, Churn(1, live=20))
    said = await feed.run(servers, warm_up_s=0.5, seconds=1.0)
    records = [r for of in (await read_topic(servers, "fed")).values() for r in of]
    events = [json.loads(record.value) for record in records]
    times = [datetime.fromisoformat(event["timestamp"]).timestamp() for event in events]
    counted = sum(time * SECOND_US >= said["counted_from_us"] for time in times)
    assert abs(counted - len(feed.late_us)) <= 1, "one may lie on the edge"
    assert len(feed.acknowledged_us) == len(feed.late_us) > 0
    assert min(feed.late_us) >= 0
    assert min(feed.acknowledged_us) > 0
    assert said["acknowledged_ms"]["p50"] <= said["acknowledged_ms"]["max"]
    oracle = Oracle()
    oracle.feed((record.key, record.value) for record in records)
    assert oracle.outcomes["dead_letter"] == 0


async def test_the_reader_has_each_row_and_the_moment_it_came(kafka: LocalKafka) -> None:
    servers = kafka.bootstrap_servers
    await make_topics(servers, ["rows"], 4, {})
    values = [row(1), None, row(2), row(3)]
    await produce(servers, [(b"%d" % n, value) for n, value in enumerate(values)], "rows")
    reader = Reader(servers, "rows", 4)
    reading = asyncio.ensure_future(reader.read())
    async with asyncio.timeout(60):
        while reader.count < len(values):
            await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert sorted(event_time_us(value) for _, value in reader.rows) == list(map(at_us, (1, 2, 3)))
    came = {event_time_us(value): now_us for now_us, value in reader.rows}
    expected = sorted(came[at_us(n)] - at_us(n) for n in (2, 3))
    assert sorted(reader.latencies_us(from_us=at_us(2))) == expected


def taken(*latencies_us: int, acknowledged: float = 1.0) -> Taken:
    """A run with these latencies."""
    said: dict[str, Any] = {"events_per_s": 99, "acknowledged_ms": {"p99": acknowledged}}
    return Taken(list(latencies_us), [500, 700], said | {"late_ms": {"p99": 10.0}})


def test_the_table_has_all_rounds_together_and_what_others_took() -> None:
    rounds = [taken(*[1000] * 119, 5000), taken(*[2000] * 100, acknowledged=3.0)]
    found = summary("exactly_once", 100, rounds)
    assert (found["rows"], found["p50"], found["max"]) == (220, 1.0, 5.0)
    assert found["p99_of_rounds"] == [1.0, 2.0]
    table = markdown({"latencies": [found]})
    assert "| exactly_once | 100 | 99 | 1.0 | 2.0 (1.0-2.0) | 2.0 | 5.0 | 2.0 | 10.0 |" in table
    older = {k: v for k, v in found.items() if k not in ("p99_acknowledged", "p99_feed_late")}
    del older["p99_reader_late"]
    assert "acknowledged" not in markdown({"latencies": [older]})
