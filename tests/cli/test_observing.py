"""`dedup stats, verify, inspect, tail` on a real broker, on what a worker made of random events."""

import asyncio
import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition

from dedup.demo.example import Oracle
from dedup.kafka.topics import ensure_topics
from dedup.settings import load_settings
from producer.events import EventGenerator, Mix
from tests.cli.topics import Topics
from tests.support.administration import admin, alter
from tests.support.records import event
from tests.support.topics import judge, partition_of, produce, read_topic
from tests.support.workers import Names

MIX = Mix(products=60, late=0.05, deletes=0.05, partial=0.1, invalid=0.02)
EVENTS = 1_500
COMMAND = [sys.executable, "-c", "from dedup.cli import cli; cli()"]


def environ(kafka: str, names: Names) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DEDUP_", "KAFKA_"))}
    return kept | {
        "PYTHONIOENCODING": "utf-8",
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        **names.settings,
    }


@pytest.fixture(scope="module")
def done(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Topics, Oracle]:
    """Topics on which a worker did all there was to do, and what the oracle says of it."""
    return asyncio.run(work(kafka, tmp_path_factory.mktemp("worker") / "state"))


async def work(kafka: str, data_dir: Path) -> tuple[Topics, Oracle]:
    generator = EventGenerator(11, lambda: datetime(2026, 1, 1, tzinfo=UTC), MIX)
    records = [(e.key, e.value) for e in islice(generator, EVENTS)]
    topics = await Topics.worked_off(kafka, data_dir, records)
    return topics, judge(await read_topic(kafka, topics.names.source))


@pytest.fixture
async def topics(kafka: str) -> Topics:
    """Topics without records."""
    return await Topics.made(kafka)


def living(oracle: Oracle) -> set[int]:
    return {i for i, emitted in oracle.emitted.items() if emitted[-1] is not None}


def test_the_statistics_are_those_of_the_oracle(done: tuple[Topics, Oracle]) -> None:
    topics, oracle = done
    shown = topics.json_of("stats", "--products", "1000")
    stats = shown["deduplication_stats"]
    assert +Counter(stats["outcomes"]) == oracle.outcomes
    assert stats["total_events"] == EVENTS
    duplicates = oracle.outcomes["duplicate"]
    assert stats["duplicates"] == duplicates > 100
    assert stats["duplicate_percentage"] == round(100 * duplicates / EVENTS, 2)
    assert stats["unique_products"] == len(oracle.emitted)
    assert stats["complete"] is True
    emitted = oracle.outcomes["change"] + oracle.outcomes["tombstone"]
    assert shown["raw_versus_deduplicated"] == {
        "raw_events": EVENTS,
        "deduplicated": emitted,
        "current_products": len(living(oracle)),
    }
    rows = {row["product_id"]: row["last_event_id"] for row in shown["current_product_state"]}
    assert rows == {i: oracle.emitted[i][-1] for i in living(oracle)}


def test_what_a_worker_wrote_has_no_fault(done: tuple[Topics, Oracle]) -> None:
    topics, oracle = done
    found = topics.json_of("verify")
    assert found["sound"] is True
    assert found["cut"] == []
    emitted = oracle.outcomes["change"] + oracle.outcomes["tombstone"]
    looked_at = {check["title"]: check["looked_at"] for check in found["checks"]}
    assert looked_at["neighbouring records differ"] == emitted
    assert looked_at["rows against a replay of the events"] == len(oracle.emitted)


def test_inspect_shows_row_records_events_and_reasons(done: tuple[Topics, Oracle]) -> None:
    topics, oracle = done
    product_id = max(living(oracle), key=lambda i: len(oracle.emitted[i]))
    shown = topics.json_of("inspect", str(product_id), "--events", "1000")
    history = [r["row"] and r["row"]["last_event_id"] for r in shown["history"]]
    assert history == oracle.emitted[product_id]
    assert shown["row"]["last_event_id"] == oracle.emitted[product_id][-1]
    assert shown["fingerprint_matches"] is True
    assert shown["partition"] == partition_of(b"%d" % product_id)
    emitting = [e for e in shown["events"] if e["emits"]]
    assert [e["emitted_at"] for e in emitting] == [r["offset"] for r in shown["history"]]
    assert {e["outcome"] for e in shown["events"]} >= {"change", "duplicate"}
    assert all(e["why"] and e["emitted_at"] is None for e in shown["events"] if not e["emits"])
    text = topics.run("inspect", str(product_id))
    assert "No content field differs" in text
    assert "The fingerprint in its headers is that of the row." in text


def test_an_unknown_product_is_an_error_and_exit_1(done: tuple[Topics, Oracle]) -> None:
    result = done[0].invoke("inspect", "999999")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Nothing is known of product 999999")


def test_recomputed_decisions_are_those_of_the_oracle(done: tuple[Topics, Oracle]) -> None:
    topics, oracle = done
    lines = topics.run("tail", "--from-beginning", "--until-end", "--json").splitlines()
    verdicts = [json.loads(line) for line in lines]
    assert Counter(verdict["outcome"] for verdict in verdicts) == oracle.outcomes
    stale = topics.run("tail", "--from-beginning", "--until-end", "--outcome", "stale")
    assert len(stale.splitlines()) == oracle.outcomes["stale"]
    assert topics.run("tail", "--until-end") == ""


async def test_tail_decides_on_new_events_with_the_known_states(
    kafka: str, done: tuple[Topics, Oracle]
) -> None:
    """Nobody commits, and nothing is written."""
    topics, _ = done
    row = topics.json_of("stats")["current_product_state"][0]
    key = str(row["product_id"]).encode()
    tail = await asyncio.create_subprocess_exec(
        *(*COMMAND, "tail", "--limit", "2"),
        env=environ(kafka, topics.names),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert tail.stdout is not None
    assert tail.stderr is not None
    async with asyncio.timeout(60):
        assert b"Following" in await tail.stderr.readline()
        product = {name: row[name] for name in ("product_id", "product_name", "stock_quantity")}
        rest = {name: row[name] for name in ("description", "discount")}
        for price in ("4321.00", "4321.0"):
            later = {
                "event_id": f"later-{price}",
                "action": "price_changed",
                "timestamp": "2036-01-01T00:00:00+00:00",
                "product": product | rest | {"price": price},
            }
            await produce(kafka, [(key, json.dumps(later).encode())], topics.names.source)
        first, second = [await tail.stdout.readline() for _ in range(2)]
        assert await tail.wait() == 0
    assert f"price {row['price']} → 4321.00" in first.decode()
    assert "duplicate" in second.decode()
    assert "No content field differs" in second.decode()
    assert topics.faults() == {}, "what the worker has not done yet is no fault"


async def write(topics: Topics, partition: int, key: bytes, value: bytes | None) -> None:
    async with AIOKafkaProducer(bootstrap_servers=topics.kafka, acks="all") as producer:
        await producer.send_and_wait(topics.names.states, value, key=key, partition=partition)


def row(product_id: int, price: str) -> bytes:
    return json.dumps(
        {"product_id": product_id, "product_name": f"Product {product_id}", "price": price}
        | {"stock_quantity": 1}
    ).encode()


async def test_the_audit_finds_each_kind_of_fault(topics: Topics) -> None:
    home = partition_of(b"1")
    key = b'{"product_id":1}'
    await produce(topics.kafka, [(b"1", event(1)), (b"2", event(2))], topics.names.source)
    await write(topics, home, key, row(1, "10.00"))
    missing = ("rows against a replay of the events", (1, 0))
    assert topics.faults() == dict([missing]), "product 2 has no row"
    await write(topics, home, key, row(1, "10.0"))
    await write(topics, home, b"no key", row(1, "10.00"))
    await write(topics, (home + 1) % 4, key, row(1, "10.00"))
    assert topics.faults() == {
        "keys, rows, partitions, fingerprints": (2, 0),
        "neighbouring records differ": (1, 0),
        "rows against a replay of the events": (2, 0),
    }


async def test_a_row_is_not_judged_if_retention_removed_events(topics: Topics) -> None:
    home = partition_of(b"1")
    later = event(1, number=2, price="12.00")
    await produce(topics.kafka, [(b"1", event(1)), (b"1", later)], topics.names.source)
    await write(topics, home, b'{"product_id":1}', row(1, "99.00"))
    assert topics.faults() == {"rows against a replay of the events": (1, 0)}
    async with admin(topics.kafka) as client:
        tp = TopicPartition(topics.names.source, home)
        await client.delete_records({tp: RecordsToDelete(before_offset=1)})
    assert topics.faults() == {"rows against a replay of the events": (0, 1)}
    assert "have lost their beginning" in topics.run("verify")
    assert topics.json_of("stats")["deduplication_stats"]["complete"] is False
    assert topics.json_of("inspect", "1")["events_complete"] is False


async def test_a_topic_that_is_not_compacted_is_a_fault(kafka: str) -> None:
    names = Names.fresh()
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})
    await ensure_topics(settings)
    await alter(kafka, names.states, cleanup_policy="delete")
    assert Topics(kafka, names).faults() == {"topic settings": (1, 0)}


def test_missing_topics_are_one_error_line_for_each_command(kafka: str) -> None:
    names = Names.fresh()
    topics = Topics(kafka, names)
    for command in (["stats"], ["verify"], ["inspect", "1"], ["tail", "--until-end"]):
        result = topics.invoke(*command)
        assert result.exit_code == 1
        said = result.stderr
        assert said.startswith("Error: "), command
        assert names.source in said or names.states in said
        assert len(said.splitlines()) == 1
