"""What stands on the topics when a worker starts, on a real broker; judged by what it does next."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError

from dedup.core.keys import Id
from dedup.core.state import State
from dedup.entities.resolve import DEFAULT
from dedup.kafka import topics
from dedup.kafka.broker_errors import brokers_away
from dedup.kafka.consumer import committed_consumer
from dedup.kafka.patience import Patience
from dedup.settings import load_settings
from dedup.state.store_errors import StoreError
from dedup.state.table import StateTable
from dedup.streaming.application import DedupApp
from dedup.streaming.recovery import RecoveryError
from dedup.streaming.wiring import build_app
from tests.support.administration import admin, create, grow
from tests.support.polling import until
from tests.support.records import event
from tests.support.topic_facts import topic_facts
from tests.support.topics import emissions, produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess

logger = logging.getLogger(__name__)


def row(product_id: int, **fields: Any) -> bytes:
    """Return a row without our headers, as any job may have written it."""
    known = {"product_id": product_id, "product_name": "A", "price": "1.00"}
    return json.dumps(known | {"last_event_timestamp": "2026-01-01 00:00:05"} | fields).encode()


def key(product_id: int) -> bytes:
    return b'{"product_id":%d}' % product_id


class Reader:
    """The recovery of a worker, without its process: the same app, the real broker."""

    def __init__(
        self, kafka: str, names: Names, data_dir: Path, partitions: int, entity: str
    ) -> None:
        environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka, "DEDUP_DATA_DIR": str(data_dir)}
        self.settings = load_settings(environ | names.settings | {"DEDUP_ENTITY": entity})
        self.app: DedupApp = build_app(self.settings)
        for directory in (self.app.conf.datadir, self.app.conf.appdir, self.app.conf.tabledir):
            directory.mkdir(parents=True, exist_ok=True)
        self.app.assemble(topic_facts(partitions=partitions))

    @property
    def table(self) -> StateTable:
        return self.app.table

    async def restore(self) -> int:
        """Retry what time cures, as a worker does: the group's coordinator may be new."""
        patience = Patience("Recovery", logger)
        while True:
            try:
                return await self.app.parts.changelog_reader.restore(range(4))
            except KafkaError as error:
                if not brokers_away(error):
                    raise
                await patience.wait(error)

    def known(self) -> dict[Id, bool]:
        """The products that are known, and whether they are there or deleted."""
        return {i: state.row is not None for i, state in self.states().items()}

    def states(self) -> dict[Id, State]:
        """What is known, in all partitions."""
        data = self.table.data
        return {i: state for p in range(4) for i, state in data.partition(p).items()}


@asynccontextmanager
async def reader(
    kafka: str, names: Names, data_dir: Path, partitions: int = 4, entity: str = DEFAULT
) -> AsyncIterator[Reader]:
    made = Reader(kafka, names, data_dir, partitions, entity)
    try:
        yield made
    finally:
        await made.table.data.on_stop()


async def _states(kafka: str, names: Names, *records: tuple[int, bytes | None]) -> None:
    """Append to src_products, each record in the partition of its product's text key."""
    for product_id, value in records:
        await produce(
            kafka, [(key(product_id), value)], names.states, partition_key=b"%d" % product_id
        )


async def _make_topics(kafka: str, names: Names) -> None:
    environ = {"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings}
    await topics.ensure_topics(load_settings(environ))


async def test_an_empty_topic_and_tombstones_only_are_recovered_from(
    kafka: str, tmp_path: Path
) -> None:
    names = Names.fresh()
    await _make_topics(kafka, names)
    async with reader(kafka, names, tmp_path / "state") as found:
        assert await found.restore() == 0
        assert found.known() == {}
        await _states(kafka, names, (1, None), (2, None), (1, None))
        assert await found.restore() == 3
        assert found.known() == {1: False, 2: False}


async def test_a_deleted_head_is_not_waited_for_and_an_older_database_is_rebuilt(
    kafka: str, tmp_path: Path
) -> None:
    """Tombstones may have stood in the head: a database that ends before it can't be trusted."""
    names = Names.fresh()
    async with admin(kafka) as client:
        await create(client, names.states)  # not compacted: a head can be deleted here
        async with reader(kafka, names, tmp_path / "state") as found:
            await _states(kafka, names, (1, row(1)))
            assert await found.restore() == 1
            await _states(kafka, names, *((1, row(1, price=f"{n}.00")) for n in range(2, 6)))
            (partition,) = {p for p, r in (await read_topic(kafka, names.states)).items() if r}
            await _delete_before(client, names.states, partition, 4)
            assert await found.restore() == 1
            assert b'"5.00"' in (found.states()[1].row or b"")


async def _delete_before(
    client: AIOKafkaAdminClient, topic: str, partition: int, offset: int
) -> None:
    await client.delete_records({TopicPartition(topic, partition): RecordsToDelete(offset)})


async def test_a_corrupted_database_is_rebuilt_by_itself(kafka: str, tmp_path: Path) -> None:
    names = Names.fresh()
    await _make_topics(kafka, names)
    await _states(kafka, names, *((i, row(i)) for i in range(1, 41)))
    async with reader(kafka, names, tmp_path / "state") as found:
        assert await found.restore() == 40
        for partition in range(4):
            found.table.data.partition(partition).flush()
            found.table.data.partition(partition).persist()
        path = found.table.data._path(1)
    (table_file,) = path.glob("*.sst")
    table_file.write_bytes(b"\0" * table_file.stat().st_size)

    async with reader(kafka, names, tmp_path / "state") as found:
        read = await found.restore()
        assert 0 < read < 40  # one partition's states, not all
        assert len(found.known()) == 40


async def test_states_that_were_made_with_fewer_partitions_are_refused_without_a_disk_too(
    kafka: str, tmp_path: Path
) -> None:
    """Both topics grew from 4 to 6; the data directory, which would remember, was lost."""
    names = Names.fresh()
    await _make_topics(kafka, names)
    records = [(key(i), row(i)) for i in range(1, 201)]
    for record, product_id in zip(records, range(1, 201), strict=True):
        await produce(kafka, [record], names.states, partition_key=b"%d" % product_id)
    async with reader(kafka, names, tmp_path / "state", partitions=6) as found:
        with pytest.raises(
            StoreError, match="has 6 partitions, and the known states are those of 4"
        ):
            await found.restore()


async def test_rows_that_a_flink_job_placed_by_their_own_keys_are_refused(
    kafka: str, tmp_path: Path
) -> None:
    """Taken over, they would stand in the topic for ever beside the rows of their products."""
    names = Names.fresh()
    await _make_topics(kafka, names)
    await produce(kafka, [(key(i), row(i)) for i in range(1, 201)], names.states)
    async with reader(kafka, names, tmp_path / "state") as found:
        with pytest.raises(
            StoreError, match=f"The rows of {names.states} are partitioned by the hash"
        ):
            await found.restore()


async def test_rows_whose_events_have_keys_in_json_are_not_taken_for_misplaced(
    kafka: str, tmp_path: Path
) -> None:
    """Debezium's key without a schema has the very bytes of the row's key."""
    names = Names.fresh()
    await _make_topics(kafka, names)
    changed = {"stock_quantity": 1, "updated_at": "2026-01-01T00:00:05Z"}
    await produce(kafka, [(key(i), row(i, **changed)) for i in range(1, 201)], names.states)
    entity = "examples.debezium.products:PRODUCT"
    async with reader(kafka, names, tmp_path / "state", entity=entity) as found:
        assert await found.restore() == 200
        assert len(found.known()) == 200


async def test_a_topic_that_is_gone_ends_in_a_sentence(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client asks for its offsets until its time is over: 40 s, here 3."""
    impatient = partial(committed_consumer, request_timeout_ms=3_000)
    monkeypatch.setattr("dedup.streaming.recovery.committed_consumer", impatient)
    names = Names.fresh()
    async with reader(kafka, names, tmp_path / "state") as found:
        with pytest.raises(RecoveryError, match=f"{names.states} was deleted"):
            await found.restore()


async def test_another_choice_of_content_fields_makes_no_false_changes(
    kafka: str, tmp_path: Path
) -> None:
    """Fingerprints of another choice are recomputed from the known rows."""
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, [(b"1", event(number=1)), (b"2", event(2))], names.source)
        await wait_until_done(kafka, names)
        assert worker.terminate() == 0
    settings = {**names.settings, "DEDUP_CONTENT_FIELDS": "price,discount"}
    with WorkerProcess(kafka, tmp_path / "state", settings) as worker:
        worker.wait_until_ready()
        again = [event(number=5, stock_quantity=7), event(number=6, price="11.00")]
        await produce(
            kafka, [*((b"1", value) for value in again), (b"2", event(2, number=7))], names.source
        )
        await wait_until_done(kafka, names)

    output = emissions(await read_topic(kafka, names.states))
    assert output == {1: ["evt_1", "evt_6"], 2: ["evt_1"]}


async def test_a_restart_counts_rows_only_if_the_topic_has_some_that_are_not_known(
    kafka: str, tmp_path: Path
) -> None:
    """The transaction marker that follows the last row is none."""
    names, directory = Names.fresh(), tmp_path / "state"
    with WorkerProcess(kafka, directory, names.settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, [(b"%d" % i, event(i)) for i in range(1, 8)], names.source)
        await wait_until_done(kafka, names)
        await until(lambda: worker.metrics()["dedup_products"] == 7)
        assert worker.terminate() == 0
    async with reader(kafka, names, directory) as found:
        ends = [found.table.changelog_offset(partition) for partition in range(4)]
        assert await found.restore() == 0
        assert [found.table.changelog_offset(partition) for partition in range(4)] > ends
        assert found.table.data.rows == 7
    await _states(kafka, names, (8, row(8)))
    async with reader(kafka, names, directory) as found:
        assert await found.restore() == 1
        assert found.table.data.rows is None
        for partition in range(4):
            found.table.data.partition(partition).row_count.count_some(10)
        assert found.table.data.rows == 8


async def test_a_source_topic_that_grew_while_it_is_worked_on_stops_the_worker(
    kafka: str, tmp_path: Path
) -> None:
    """Both topics grow, so no counts differ: at the next start the data directory remembers."""
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, [(b"1", event())], names.source)
        await wait_until_done(kafka, names)
        assert worker.terminate() == 0
        async with admin(kafka) as client:
            for topic in (names.source, names.states):
                await grow(client, topic, 6)
        worker.start()
        assert worker.wait() == 1

    assert f"{names.source} has 6 partitions, and the known states are those of 4" in worker.log()
    assert "Traceback" not in worker.log()
