"""What fails while a worker runs: a sentence with the cure and exit 1, or a stall that ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError

from dedup.core.batch import Emission
from dedup.core.batch_result import Output
from dedup.core.state import State
from dedup.kafka import admin as kafka_admin
from dedup.kafka import closing
from dedup.kafka.broker_errors import brokers_away
from dedup.kafka.topics import ensure_topics
from dedup.localkafka import LocalKafka
from dedup.localkafka.ports import free_port
from dedup.settings import load_settings
from dedup.streaming import publisher as publishing
from dedup.streaming.output import PublishError
from dedup.streaming.publisher import KafkaPublisher
from dedup.streaming.wiring import SESSION_TIMEOUT_S, build_app
from tests.support.administration import admin, create, delete, recreate
from tests.support.disks import make_read_only, small_disk
from tests.support.products import ROW_FORMAT
from tests.support.records import event
from tests.support.topics import emissions, end_of, judge, produce, read_topic, wait_until_done
from tests.support.wide import text_of
from tests.support.workers import Names, WorkerProcess


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as path:
        yield path


def settings_on(disk: Path, names: Names) -> dict[str, str]:
    return {**names.settings, "DEDUP_DATA_DIR": str(disk / "state")}


def wide(products: int, number: int = 1) -> list[tuple[bytes | None, bytes | None]]:
    """Events whose rows fill a small disk."""
    text = "".join(chr(33 + i * 7919 % 90) for i in range(2_000))
    return [
        (b"%d" % i, event(i, number=number, description=f"{i} {text}"))
        for i in range(1, products + 1)
    ]


async def test_a_full_disk_ends_the_worker_and_loses_nothing(
    kafka: str, tmp_path: Path, disk: Path
) -> None:
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", settings_on(disk, names)) as worker:
        worker.wait_until_ready()
        large = ((b"%d" % i, event(i, description=text_of(i, 10_000))) for i in range(1, 15_001))
        await produce(kafka, large, names.source)  # more than all memory of states
        assert worker.wait() == 1
        assert "disk is full: free some space, or set DEDUP_DATA_DIR" in worker.log()
        log = worker.log()
        assert "Traceback" not in log
        assert "damaged" not in log
        assert log.count("disk is full") <= 3  # when it happened, at close, as the last line
    with WorkerProcess(kafka, tmp_path / "larger", names.settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, wide(10, number=2), names.source)
        await wait_until_done(kafka, names)

    output = emissions(await read_topic(kafka, names.states))
    assert output == judge(await read_topic(kafka, names.source)).emitted


async def test_a_read_only_disk_is_named(kafka: str, tmp_path: Path, disk: Path) -> None:
    names = Names.fresh()
    (disk / "state").mkdir()
    make_read_only(disk)
    with WorkerProcess(kafka, tmp_path / "state", settings_on(disk, names)) as worker:
        assert worker.wait() == 1

    assert f"DEDUP_DATA_DIR={disk / 'state'} can't be written" in worker.log()
    assert "Traceback" not in worker.log()


async def test_a_second_worker_in_the_same_directory_ends_and_the_first_goes_on(
    kafka: str, tmp_path: Path
) -> None:
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        shared = {**names.settings, "DEDUP_DATA_DIR": str(worker.data_dir)}
        with WorkerProcess(kafka, tmp_path / "second", shared) as second:
            assert second.wait() == 1
            assert "is locked by another worker" in second.log()
            assert "set DEDUP_DATA_DIR" in second.log()
            assert "Traceback" not in second.log()
        await produce(kafka, [(b"1", event())], names.source)
        await wait_until_done(kafka, names)
        assert worker.alive


async def test_a_row_beyond_the_topic_s_limit_is_a_dead_letter_and_the_rest_goes_on(
    kafka: str, tmp_path: Path
) -> None:
    """Many rows that fit one by one are also cut into record batches that fit."""
    names = Names.fresh()
    async with admin(kafka) as client:
        await create(client, names.states, cleanup_policy="compact", max_message_bytes="10000")
    large = event(number=2, description="x" * 20_000)
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        records = [*wide(50), (b"1", large), (b"1", event(number=3, price="3.00"))]
        await produce(kafka, records, names.source)
        await wait_until_done(kafka, names)

    output = emissions(await read_topic(kafka, names.states))
    assert output[1] == ["evt_1", "evt_3"]
    assert len(output) == 50
    letters = [r for rs in (await read_topic(kafka, names.dead_letters)).values() for r in rs]
    assert [letter.value for letter in letters] == [large]
    assert dict(letters[0].headers)["dedup.errors.reason"] == b"row_too_large"


@asynccontextmanager
async def _publisher(kafka: str, names: Names) -> AsyncIterator[KafkaPublisher]:
    """The publisher of a worker, with its topics made and a partition taken over."""
    settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings})
    await ensure_topics(settings)
    made = KafkaPublisher(settings)
    await made.acquire([0])
    try:
        yield made
    finally:
        await made.acquire([])


def _output(offset: int) -> Output:
    """One state that was made of the event before a source offset."""
    state = State(bytes(21), 0, 0, offset - 1, 0, 0, b'{"product_id":1}')
    return Output(0, offset - 1, offset, 0, 1_767_225_600_000, ROW_FORMAT, [Emission(1, state)])


def _broker(tmp_path: Path) -> LocalKafka:
    """A broker to be killed, on a port that no other broker takes while this one is down."""
    return LocalKafka(port=free_port(), data_dir=tmp_path / "broker")


async def test_brokers_that_are_gone_for_good_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "GIVE_UP_AFTER_S", 3.0)
    monkeypatch.setattr(closing, "CLOSE_WITHIN_S", 1.0)
    monkeypatch.setattr(publishing, "CHECK_WITHIN_S", 1.0)
    monkeypatch.setattr(kafka_admin, "CONNECT_TIMEOUT_S", 1.0)
    with _broker(tmp_path) as broker:
        async with _publisher(broker.bootstrap_servers, Names.fresh()) as publisher:
            await publisher.publish(_output(1))
            broker.kill()
            with pytest.raises(PublishError, match="Nothing of it was committed"):
                await publisher.publish(_output(2))


async def test_partitions_are_taken_over_once_brokers_that_were_away_are_back(
    tmp_path: Path,
) -> None:
    """What recovery waits for; it was taken for a refusal, and workers ended when brokers did."""
    with _broker(tmp_path) as broker:
        async with _publisher(broker.bootstrap_servers, Names.fresh()) as publisher:
            broker.kill()
            with pytest.raises(KafkaError) as away:
                await publisher.acquire([0, 1])
            assert brokers_away(away.value)
            broker.restart()
            await publisher.acquire([0, 1])
            assert await publisher.publish(_output(1)) == 1


async def test_brokers_that_have_no_producer_id_to_give_are_asked_anew(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the worker would wait in silence, neither ready nor failed."""
    async with _publisher(kafka, Names.fresh()) as publisher:
        with monkeypatch.context() as patience:
            patience.setattr(publishing, "START_WITHIN_S", 0.0)
            with pytest.raises(KafkaTimeoutError, match="no producer id for partition 1") as late:
                await publisher.acquire([0, 1])
        assert brokers_away(late.value)
        await publisher.acquire([0, 1])
        assert await publisher.publish(_output(1)) == 1


async def test_an_idle_worker_waits_for_brokers_that_come_back(tmp_path: Path) -> None:
    names = Names.fresh()
    with _broker(tmp_path) as broker:
        kafka = broker.bootstrap_servers
        with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
            worker.wait_until_ready()
            broker.kill()
            await asyncio.sleep(SESSION_TIMEOUT_S + 1)
            assert worker.alive, worker.log()
            broker.restart()
            await produce(kafka, [(b"1", event())], names.source)
            await wait_until_done(kafka, names)
            assert worker.terminate() == 0


async def test_a_start_waits_for_brokers_that_go_away_between_the_check_and_the_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each client of the worker connects for itself, after the topics were looked at."""
    names = Names.fresh()
    with _broker(tmp_path) as broker:
        kafka = broker.bootstrap_servers
        environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "DEDUP_WEB_PORT": str(free_port())}
        app = build_app(load_settings(environ | settings_on(tmp_path, names)))
        prepare = app.prepare

        async def prepare_and_lose_the_broker() -> None:
            await prepare()
            broker.kill()

        monkeypatch.setattr(app, "prepare", prepare_and_lose_the_broker)
        starting = asyncio.ensure_future(app.start())
        await asyncio.wait([starting], timeout=5)
        assert not starting.done(), starting.exception()
        await asyncio.to_thread(broker.restart)
        await starting
        await produce(kafka, [(b"1", event())], names.source)
        await wait_until_done(kafka, names)
        await app.stop()


async def test_an_output_topic_that_was_deleted_is_named(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names.fresh()
    monkeypatch.setattr(publishing, "GIVE_UP_AFTER_S", 5.0)
    monkeypatch.setattr(closing, "CLOSE_WITHIN_S", 1.0)
    async with _publisher(kafka, names) as publisher, admin(kafka) as client:
        await publisher.publish(_output(1))
        await delete(client, names.states)
        with pytest.raises(PublishError, match=f"{names.states} was deleted. Recreate it"):
            await publisher.publish(_output(2))


async def test_an_output_topic_that_was_recreated_under_a_worker_stops_it(
    kafka: str, tmp_path: Path
) -> None:
    """Its known states are no longer on the topic: going on would leave them missing there."""
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        for number in range(1, 21):
            value = event(number=number, price=f"{number}.00")
            await produce(kafka, [(b"1", value)], names.source)
        await wait_until_done(kafka, names)
        async with admin(kafka) as client:
            await delete(client, names.states)
            await recreate(client, names.states, cleanup_policy="compact")
        await produce(kafka, [(b"1", event(number=30, price="30.00"))], names.source)
        assert worker.wait() == 1
        assert f"{names.states} was recreated" in worker.log()
        assert "Traceback" not in worker.log()
    assert await end_of(kafka, names.states) >= 1
