"""What time cures is waited for, also before the first batch and beside the batches."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    KafkaError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    NotControllerError,
    NotEnoughReplicasError,
    RequestTimedOutError,
    UnknownError,
)

from dedup.kafka import offsets
from dedup.kafka.consumer import committed_consumer
from dedup.kafka.groups import check_group
from dedup.kafka.offsets import committed_offsets, stable_offsets
from dedup.kafka.patience import Patience
from dedup.kafka.topics import check_topics, ensure_topics
from dedup.localkafka import LocalKafka
from dedup.localkafka.ports import free_port
from dedup.settings import Settings, load_settings
from dedup.sink.consuming import _start
from dedup.streaming.wiring import build_app
from tests.broker.faulty import Faults, answered, faulty_client, never_sent
from tests.support.records import event
from tests.support.topics import produce
from tests.support.workers import Names

logger = logging.getLogger(__name__)


@pytest.fixture
def faults() -> Iterator[Faults]:
    with faulty_client() as made:
        yield made


def settings_of(kafka: str, names: Names, **more: str) -> Settings:
    return load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings, **more})


@pytest.mark.parametrize("error", [NotControllerError, RequestTimedOutError, UnknownError])
async def test_topics_are_made_by_brokers_that_can_not_do_it_yet(
    kafka: str, faults: Faults, error: type[KafkaError]
) -> None:
    """The answer may also be wrong: then the topic is there at the next try."""
    settings = settings_of(kafka, Names.fresh())
    faults.plan("CreateTopicsRequest", answered(error.errno))
    faults.plan("CreateTopicsRequest", never_sent)
    faults.plan("DescribeConfigsRequest", answered(error.errno))
    faults.plan("DescribeConfigsRequest", never_sent)

    facts = await ensure_topics(settings)

    assert facts.partitions == 4
    assert (await check_topics(settings)).cluster_id == facts.cluster_id
    assert len(faults.happened) == 4


@pytest.mark.parametrize(
    "error", [CoordinatorLoadInProgressError, CoordinatorNotAvailableError, UnknownError]
)
async def test_a_group_is_looked_for_until_its_coordinator_is_there(
    kafka: str, faults: Faults, error: type[KafkaError]
) -> None:
    faults.plan("FindCoordinatorRequest", answered(error.errno))
    faults.plan("FindCoordinatorRequest", never_sent)

    await check_group(settings_of(kafka, Names.fresh()))

    assert len(faults.happened) == 2


async def test_a_dry_run_begins_once_its_group_can_be_put_in_its_place(
    kafka: str, faults: Faults, tmp_path: Path
) -> None:
    names = Names.fresh()
    production = settings_of(kafka, names)
    await ensure_topics(production)
    await produce(kafka, [(b"1", event())], names.source)
    app = build_app(
        settings_of(kafka, names, DEDUP_DRY_RUN="true", DEDUP_DATA_DIR=str(tmp_path / "state"))
    )
    for code in (UnknownError.errno, LeaderNotAvailableError.errno):
        faults.plan("OffsetCommitRequest", answered(code))
    faults.plan("OffsetRequest", never_sent)

    await app.prepare()

    assert faults.happened.count("OffsetCommitRequest") == 2
    assert await committed_offsets(app.settings, 4) == dict.fromkeys(range(4), 0)


async def test_a_transaction_that_does_not_end_is_waited_for_with_a_limit(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names.fresh()
    settings = settings_of(kafka, names)
    await ensure_topics(settings)
    monkeypatch.setattr(offsets, "STABLE_WITHIN_S", 0.5)
    tp = TopicPartition(names.source, 0)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=names.group)
    async with producer, committed_consumer(settings) as consumer:
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction({tp: 7}, names.group)
        with pytest.raises(KafkaTimeoutError, match="does not end"):
            await stable_offsets(consumer._client, names.group, names.source, [0])
        await producer.commit_transaction()
        monkeypatch.undo()
        found = await stable_offsets(consumer._client, names.group, names.source, [0])
    assert found == {0: 7}


async def test_a_sink_starts_once_a_broker_answers(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    consumer = AIOKafkaConsumer(bootstrap_servers=f"127.0.0.1:{port}")
    starting = asyncio.ensure_future(_start(consumer))
    with caplog.at_level(logging.INFO, "dedup"), LocalKafka(port=port):
        async with asyncio.timeout(60):
            await starting
        await consumer.stop()

    ours = [r.levelname for r in caplog.records if r.name.startswith("dedup")]
    # None, if the broker was there before the first try. The outage's end is logged elsewhere.
    assert ours in (["WARNING"], [])


async def test_retries_are_logged_when_they_begin_and_when_they_succeed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However many tries it takes; the next error is logged again."""
    told = await _logged(caplog, NotEnoughReplicasError())
    begin = ("WARNING", f"Reading: waiting for the brokers: {NotEnoughReplicasError()!r}")
    assert told == [begin, ("INFO", "Reading: the brokers answer again")] * 2


async def test_the_end_of_an_outage_is_left_to_the_log_of_the_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`ToldOnce` logs it once, not once for each thing that is retried."""
    told = await _logged(caplog, LeaderNotAvailableError())
    begin = ("WARNING", f"Reading: waiting for the brokers: {LeaderNotAvailableError()!r}")
    assert told == [begin] * 2


async def _logged(caplog: pytest.LogCaptureFixture, error: KafkaError) -> list[tuple[str, str]]:
    patience = Patience("Reading", logger)
    with caplog.at_level(logging.INFO, __name__):
        patience.over()
        for _ in range(2):
            for _ in range(3):
                await patience.wait(error)
            patience.over()
    return [(r.levelname, r.message.split(",")[0]) for r in caplog.records]


async def test_a_wait_that_is_too_long_ends_with_the_error() -> None:
    patience = Patience("Reading", logger, give_up_after_s=0.2)
    error = LeaderNotAvailableError()
    await patience.wait(error)
    await asyncio.sleep(0.2)

    with pytest.raises(LeaderNotAvailableError) as last:
        await patience.wait(error)

    assert last.value is error
