"""From events to the table: producer's events, a real worker, the sink; judged by the oracle."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest

from dedup import Entity
from dedup.sink.consuming import run_sink
from producer.events import EventGenerator, Mix
from producer.oracle import Oracle
from tests.sink.entities import INTEGER, TEXT, UUIDS, RandomRows
from tests.sink.running import rows_of, settings, table
from tests.support.postgres import PostgresServer
from tests.support.topics import produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess


async def test_the_table_has_the_content_the_oracle_knows(
    kafka: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    names = Names.fresh()
    mix = Mix(products=100, late=0.05, deletes=0.1, partial=0.05, invalid=0.05)
    events = islice(EventGenerator(3, lambda: datetime.now(UTC), mix), 3_000)
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, [(event.key, event.value) for event in events], names.source)
        await wait_until_done(kafka, names)
    await run_sink(settings(kafka, postgres, names.states), once=True)

    oracle = Oracle()
    for records in (await read_topic(kafka, names.source)).values():
        oracle.feed((record.key, record.value) for record in records)
    known = {i: content for i, content in oracle._content.items() if content is not None}
    found = {
        product_id: {
            "product_name": name,
            "description": description,
            "price": price,
            "stock_quantity": stock,
            "discount": discount,
        }
        for product_id, (name, description, price, stock, discount, *_) in table(postgres).items()
    }
    assert len(found) > 50
    assert all(isinstance(product["price"], Decimal) for product in found.values())
    assert found == known


@pytest.mark.parametrize(
    ("attribute", "entity"), [("TEXT", TEXT), ("UUIDS", UUIDS), ("INTEGER", INTEGER)]
)
async def test_the_table_of_another_entity_has_the_last_event_of_each_id(
    kafka: str, postgres: PostgresServer, tmp_path: Path, attribute: str, entity: Entity
) -> None:
    """Its events are flat: what comes to the topic of rows comes to that of events here."""
    names, history = Names.fresh(), RandomRows(entity, 8)
    own = {"DEDUP_ENTITY": f"tests.sink.entities:{attribute}", "DEDUP_ORDER": "arrival"}
    events: list[tuple[bytes | None, bytes | None]] = [
        (str(json.loads(key)["key"]).encode(), value)
        for _, key, value in history.records(1_000, plain_keys=False)
    ]
    with WorkerProcess(kafka, tmp_path / "state", {**names.settings, **own}) as worker:
        worker.wait_until_ready()
        await produce(kafka, events, names.source)
        await wait_until_done(kafka, names)
    await run_sink(settings(kafka, postgres, names.states, **own), once=True)

    assert rows_of(postgres, entity) == history.rows
    assert len(history.rows) > 5
