"""The dead-letter topic as an administrator made it: what is written to it, and what is refused."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from dedup.core.batch_result import Output, OutputRecord
from dedup.kafka.admin import TopicError
from dedup.kafka.topics import check_topics, ensure_topics
from dedup.settings import Settings, load_settings
from dedup.streaming import publisher as publishing
from dedup.streaming.output import PublishError
from dedup.streaming.publisher import KafkaPublisher
from tests.support.administration import admin, alter, create, delete
from tests.support.products import ROW_FORMAT
from tests.support.records import event
from tests.support.topics import produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess


async def make(kafka: str, name: str, partitions: int = 4, /, **config: str) -> None:
    async with admin(kafka) as client:
        await create(client, name, partitions, **config)


def settings_of(kafka: str, names: Names) -> Settings:
    return load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})


async def letters_of(kafka: str, names: Names, partitions: int) -> list[tuple[int, int]]:
    """Return source partition and offset of each dead letter, in no order."""
    found = await read_topic(kafka, names.dead_letters, partitions)
    headers = [dict(letter.headers) for letters in found.values() for letter in letters]
    return sorted(
        (int(h["__streams.errors.partition"]), int(h["__streams.errors.offset"])) for h in headers
    )


@pytest.mark.parametrize("partitions", [1, 7])
async def test_dead_letters_are_written_whatever_the_partitions_of_their_topic(
    kafka: str, tmp_path: Path, partitions: int
) -> None:
    """Their headers say where they come from; every partition of the source goes on."""
    names = Names.fresh()
    await make(kafka, names.dead_letters, partitions)
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            for number in range(20):
                await producer.send(names.source, b"{", key=b"1", partition=number % 4)
        await wait_until_done(kafka, names)
        assert worker.alive, worker.log()
    expected = [(partition, offset) for partition in range(4) for offset in range(5)]
    assert await letters_of(kafka, names, partitions) == expected


async def test_a_dead_letter_beyond_the_topic_s_limit_keeps_an_excerpt_and_the_rest_goes_on(
    kafka: str, tmp_path: Path
) -> None:
    """Also many that fit one by one, and one whose headers alone are too large."""
    names = Names.fresh()
    await make(kafka, names.dead_letters, max_message_bytes="2000")
    large = b'{"a":' + b"9" * 50_000
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        bad: list[tuple[bytes | None, bytes | None]] = [(b"1", b"[%d" % i) for i in range(60)]
        await produce(kafka, [(b"1", large), *bad, (b"1", event())], names.source)
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            headers = [("h", b"x" * 5_000)]
            await producer.send(names.source, b"{", key=b"1", partition=0, headers=headers)
        await wait_until_done(kafka, names)
        assert worker.alive, worker.log()
    letters = [r for rs in (await read_topic(kafka, names.dead_letters)).values() for r in rs]
    assert len(letters) == 62
    (cut,) = [r for r in letters if r.value and len(r.value) > 10]
    assert large.startswith(cut.value)
    assert len(cut.value) > 500
    assert dict(cut.headers)["dedup.errors.value.size"] == b"50005"
    truncated = [dict(r.headers).get("dedup.errors.truncated") for r in letters]
    assert sorted(filter(None, truncated)) == [b"headers", b"value"]
    states = [r for rs in (await read_topic(kafka, names.states)).values() for r in rs]
    assert [json.loads(r.value)["last_event_id"] for r in states] == ["evt_1"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"cleanup_policy": "compact"}, "cleanup.policy=compact: it rejects events without a key"),
        ({"cleanup_policy": "compact,delete"}, "cleanup.policy=compact,delete: it rejects"),
        ({"max_message_bytes": "500"}, "max.message.bytes=500: no record fits"),
        ({"message_timestamp_before_max_ms": "1000"}, "message.timestamp.before.max.ms=1000:"),
        ({"message_timestamp_after_max_ms": "0"}, "message.timestamp.after.max.ms=0:"),
    ],
)
@pytest.mark.parametrize("which", ["dead_letters", "states"])
async def test_what_keeps_records_from_being_written_is_said_at_the_start(
    kafka: str, config: dict[str, str], words: str, which: str
) -> None:
    """Each sentence names the topic, the setting, its value and the command that changes it."""
    names = Names.fresh()
    name = names.dead_letters if which == "dead_letters" else names.states
    if which == "states":
        if "cleanup_policy" in config:
            return  # the output topic is to be compacted
        config = {"cleanup_policy": "compact", **config}
    await make(kafka, name, **config)
    with pytest.raises(TopicError) as refused:
        await ensure_topics(settings_of(kafka, names))
    assert str(refused.value).startswith(f"{name} has {words}")
    assert f"--entity-name {name} --add-config" in str(refused.value)


@pytest.mark.parametrize("which", ["dead_letters", "states"])
async def test_more_replicas_asked_for_than_there_are_is_a_warning(kafka: str, which: str) -> None:
    """Brokers since 3.x write all the same; those before never acknowledge."""
    names = Names.fresh()
    await ensure_topics(settings_of(kafka, names))
    topic = names.dead_letters if which == "dead_letters" else names.states
    policy = "delete" if which == "dead_letters" else "compact"
    await alter(kafka, topic, min_insync_replicas="2", cleanup_policy=policy)
    (warning,) = (await check_topics(settings_of(kafka, names))).warnings
    assert warning.startswith(f"{topic} has min.insync.replicas=2: the replication factor is 1")


async def test_times_that_the_broker_sets_itself_are_never_refused(kafka: str) -> None:
    names = Names.fresh()
    config = {"message_timestamp_type": "LogAppendTime", "message_timestamp_before_max_ms": "0"}
    await make(kafka, names.dead_letters, **config)
    facts = await ensure_topics(settings_of(kafka, names))
    assert facts.warnings == ()


def topics_check(kafka: str, names: Names, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DEDUP_", "KAFKA_"))}
    return subprocess.run(
        [sys.executable, "-c", "from dedup.cli import cli; cli()", "topics", "check", *arguments],
        env=kept | {"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_topics_check_sees_the_dead_letter_topic_as_the_worker_does(kafka: str) -> None:
    names = Names.fresh()
    await make(kafka, names.dead_letters, 1, retention_ms="60000", max_message_bytes="5000")
    await ensure_topics(settings_of(kafka, names))

    done = topics_check(kafka, names)
    assert done.returncode == 0, done.stderr
    assert f"{names.dead_letters} has 1 and takes dead letters of 5,000 bytes." in done.stdout
    warning = f"Warning: {names.dead_letters} has retention.ms=60000: dead letters are deleted"
    assert done.stderr.startswith(warning)
    facts = json.loads(topics_check(kafka, names, "--json").stdout)
    assert (facts["letters_partitions"], facts["letters_batch_bytes"]) == (1, 5000)
    assert len(facts["warnings"]) == 1

    await alter(kafka, names.dead_letters, cleanup_policy="compact")
    done = topics_check(kafka, names)
    assert (done.returncode, done.stdout) == (1, "")
    assert "has cleanup.policy=compact" in done.stderr


@asynccontextmanager
async def publishes(kafka: str, names: Names) -> AsyncIterator[KafkaPublisher]:
    await ensure_topics(settings_of(kafka, names))
    made = KafkaPublisher(settings_of(kafka, names))
    await made.acquire([3])
    try:
        yield made
    finally:
        await made.acquire([])


def letter(key: bytes | None, size: int = 1, offset: int = 0) -> Output:
    record = OutputRecord(key, b"x" * size, [])
    return Output(3, offset, offset + 1, 0, 1_767_225_600_000, ROW_FORMAT, dead_letters=[record])


async def test_a_topic_that_was_recreated_with_fewer_partitions_is_written_to(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the latest after the sentence and a restart, which is what `acquire` stands for here."""
    names = Names.fresh()
    async with publishes(kafka, names) as publisher:
        await publisher.publish(letter(b"1"))
        async with admin(kafka) as client:
            await delete(client, names.dead_letters)
            await create(client, names.dead_letters, 1)
        try:
            with monkeypatch.context() as patience:
                patience.setattr(publishing, "GIVE_UP_AFTER_S", 5.0)
                await publisher.publish(letter(b"2", offset=1))
        except PublishError:
            await publisher.acquire([])
            await publisher.acquire([3])
            await publisher.publish(letter(b"2", offset=1))
    found = await read_topic(kafka, names.dead_letters, 1)
    assert [record.key for record in found[0]] == [b"2"]


@pytest.mark.parametrize(
    ("config", "output", "words"),
    [
        ({"cleanup_policy": "compact"}, letter(None), "has cleanup.policy=compact: it rejects"),
        ({"max_message_bytes": "2000"}, letter(b"1", 9000), "was lowered after the worker started"),
    ],
)
async def test_a_topic_that_was_altered_under_the_worker_is_named_with_the_setting(
    kafka: str, config: dict[str, str], output: Output, words: str
) -> None:
    names = Names.fresh()
    async with publishes(kafka, names) as publisher:
        await alter(kafka, names.dead_letters, **config)
        with pytest.raises(PublishError, match="Nothing of it was committed") as refused:
            await publisher.publish(output)
    assert words in str(refused.value)
    assert not any((await read_topic(kafka, names.dead_letters)).values())
    if "max_message_bytes" in config:  # the next start cuts what is larger
        assert (await check_topics(settings_of(kafka, names))).letters_batch_bytes == 2000
