"""`dedup compare` on a real broker: held against what a worker wrote, and its errors."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition

from dedup.demo.example import Oracle
from dedup.inspection.comparison import compare_topic
from dedup.inspection.variants import read_variants
from dedup.settings import load_settings
from producer.events import EventGenerator, Mix
from tests.cli.topics import Topics
from tests.support.administration import admin, create
from tests.support.records import event
from tests.support.topics import judge, partition_of, produce, read_topic
from tests.support.workers import Names

MIX = Mix(products=40, late=0.05, deletes=0.05, partial=0.1, invalid=0.02)
EVENTS = 800


@pytest.fixture(scope="module")
def done(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Topics, Oracle, int]:
    """Topics on which a worker did all there was to do, the oracle, and the bytes it wrote."""
    return asyncio.run(work(kafka, tmp_path_factory.mktemp("worker") / "state"))


async def work(kafka: str, data_dir: Path) -> tuple[Topics, Oracle, int]:
    generator = EventGenerator(5, lambda: datetime(2026, 1, 1, tzinfo=UTC), MIX)
    records = [(e.key, e.value) for e in islice(generator, EVENTS)]
    topics = await Topics.worked_off(kafka, data_dir, records)
    written = sum(
        len(record.key or b"")
        + len(record.value or b"")
        + sum(len(name) + len(value or b"") for name, value in record.headers)
        for records in (await read_topic(kafka, topics.names.states)).values()
        for record in records
    )
    return topics, judge(await read_topic(kafka, topics.names.source)), written


def test_latest_is_what_the_worker_did_to_the_byte(done: tuple[Topics, Oracle, int]) -> None:
    topics, oracle, written = done
    shown = topics.json_of("compare", "latest", "distinct:1h", "latest:arrival")
    latest, _, arrival = shown["variants"]
    assert +Counter(latest["outcomes"]) == oracle.outcomes
    assert shown["events"] == EVENTS
    assert shown["topic"] == topics.names.source
    assert shown["complete"] is True
    assert latest["bytes_written"] == written
    living = sum(emitted[-1] is not None for emitted in oracle.emitted.values())
    assert latest["rows"] == living
    assert latest["other_state"] == 0
    assert arrival["outcomes"]["stale"] == 0 < latest["outcomes"]["stale"]
    assert arrival["other_state"] > 0


def test_without_a_variant_all_strategies_are_in_the_table_and_no_bar_is_in_a_pipe(
    done: tuple[Topics, Oracle, int],
) -> None:
    result = done[0].invoke("compare")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][:4] == [f"{EVENTS}", "events", "on", f"{done[0].names.source},"]
    assert lines[1] == ["latest", "distinct:24h", "event_id:24h"]
    assert result.stderr == ""


def test_a_plot_is_written_beside_the_table(
    done: tuple[Topics, Oracle, int], tmp_path: Path
) -> None:
    picture = tmp_path / "strategies.svg"
    assert "emitted" in done[0].run("compare", "--plot", str(picture))
    assert picture.read_text("utf-8").startswith("<svg ")


async def test_a_topic_without_output_topic_is_compared_by_its_name(kafka: str) -> None:
    topics = Topics(kafka, Names.fresh())
    source = topics.names.source
    async with admin(kafka) as client:
        await create(client, source)
    await produce(kafka, [(b"1", event()), (b"1", event(number=2))], source)
    elsewhere = {"KAFKA_PRODUCT_TOPIC": f"{source}-other"}
    shown = topics.json_of("compare", "latest", "--topic", source, **elsewhere)
    assert shown["topic"] == source
    assert shown["variants"][0]["outcomes"]["duplicate"] == 1


def test_a_topic_that_is_missing_is_named(kafka: str) -> None:
    topics = Topics(kafka, Names.fresh())
    result = topics.invoke("compare")
    assert result.exit_code == 1
    assert f"There is no topic KAFKA_PRODUCT_TOPIC={topics.names.source}" in result.stderr
    named = topics.invoke("compare", "--topic", "nowhere")
    assert "There is no topic --topic=nowhere" in named.stderr


async def test_partitions_are_read_one_after_the_other_and_what_is_read_is_told(kafka: str) -> None:
    topics = await Topics.made(kafka)
    source = topics.names.source
    records: list[tuple[bytes | None, bytes | None]] = [
        (b"%d" % i, event(i, number=n)) for n in range(2) for i in range(1, 9)
    ]
    await produce(kafka, records, source)
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **topics.names.settings})
    told: list[tuple[int, int]] = []
    found = await compare_topic(
        settings,
        *(source, "KAFKA_PRODUCT_TOPIC", read_variants(["latest"], settings)),
        lambda done, there: told.append((done, there)),
    )
    assert found.results[0].emitted == found.results[0].rows == 8
    assert told == sorted(told)
    assert len(set(told)) > 1
    assert told[-1] == (16, 16)


async def test_events_that_retention_has_removed_are_said_to_be_missing(kafka: str) -> None:
    topics = await Topics.made(kafka)
    source = topics.names.source
    await produce(kafka, [(b"1", event()), (b"1", event(number=2))], source)
    async with admin(kafka) as client:
        first = {TopicPartition(source, partition_of(b"1")): RecordsToDelete(before_offset=1)}
        await client.delete_records(first)
    shown = topics.json_of("compare", "latest")
    assert (shown["complete"], shown["events"]) == (False, 1)
    assert "Older events are no longer on the topic" in topics.invoke("compare").stderr


async def test_an_empty_topic_has_a_table_of_zeros(kafka: str) -> None:
    topics = await Topics.made(kafka)
    shown = topics.json_of("compare", "latest")
    assert shown["events"] == shown["bytes_in"] == shown["variants"][0]["emitted"] == 0
    assert "0 events" in topics.run("compare")


def test_wrong_usage_exits_with_2_before_a_broker_is_asked(tmp_path: Path) -> None:
    nowhere = Topics("127.0.0.1:1", Names.fresh())
    result = nowhere.invoke("compare", "latest", "distinct")
    assert result.exit_code == 2
    assert "distinct: it needs a window, such as distinct:24h." in result.stderr
    result = nowhere.invoke("compare", "--plot", str(tmp_path / "missing" / "out.svg"))
    assert result.exit_code == 2
    assert "there is no such directory" in result.stderr
