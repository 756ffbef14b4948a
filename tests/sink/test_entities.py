"""The table of any entity: every kind of field, every kind of id, and what is no field of it."""

import pytest

from dedup import Entity
from dedup.sink.consuming import run_sink
from dedup.sink.settings import SinkSettings, load_sink_settings
from tests.sink.entities import INTEGER, TEXT, UUIDS, RandomRows
from tests.sink.running import rows_of, settings
from tests.support.postgres import PostgresServer
from tests.support.rows import make_topic, write

ATTRIBUTES = {id(TEXT): "TEXT", id(UUIDS): "UUIDS", id(INTEGER): "INTEGER"}
each_entity = pytest.mark.parametrize(
    "entity", [TEXT, UUIDS, INTEGER], ids=["text", "uuid", "integer"]
)


def own_settings(
    kafka: str, postgres: PostgresServer, topic: str, entity: Entity, **more: str
) -> SinkSettings:
    named = f"tests.sink.entities:{ATTRIBUTES[id(entity)]}"
    return settings(kafka, postgres, topic, DEDUP_ENTITY=named, **more)


@each_entity
async def test_the_table_of_an_entity_is_what_a_random_history_leaves(
    kafka: str, postgres: PostgresServer, entity: Entity
) -> None:
    """In parts, also such that a batch has nothing but nulls in a column, or no null at all."""
    topic, history = await make_topic(kafka), RandomRows(entity, 1)
    for count, nulls in ((300, 0.3), (1, 0.3), (60, 1.0), (60, 0.0), (300, 0.3)):
        await write(kafka, topic, history.records(count, nulls=nulls))
        await run_sink(own_settings(kafka, postgres, topic, entity), once=True)
        assert rows_of(postgres, entity) == history.rows
    assert len(history.rows) > 5


async def test_fields_that_the_model_does_not_name_have_no_column(
    kafka: str, postgres: PostgresServer
) -> None:
    topic, history = await make_topic(kafka), RandomRows(INTEGER, 2)
    await write(kafka, topic, history.records(100))
    passing = {"DEDUP_UNKNOWN_FIELDS": "pass", "DEDUP_CONTENT_FIELDS": "user,tags"}
    await run_sink(own_settings(kafka, postgres, topic, INTEGER, **passing), once=True)

    assert rows_of(postgres, INTEGER) == history.rows
    found = postgres.ask("SELECT attname FROM pg_attribute WHERE attrelid = 'meters'::regclass")
    names = {name for (name,) in found}
    assert names >= {field.name for field in INTEGER.fields}
    assert not names & {"unknown", "tags", *INTEGER.provenance}


async def test_rows_and_keys_of_another_entity_are_skipped(
    kafka: str, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    topic, history = await make_topic(kafka), RandomRows(UUIDS, 3)
    strange = [
        (0, b'{"key":"no uuid"}', None),
        (0, b'{"product_id":1}', None),
        (0, b"7", b"{}"),
        (0, b'{"key":"7d444840-9dc0-11d1-b245-5ffdce74fad2"}', b'{"size":1}'),
    ]
    await write(kafka, topic, iter([*strange, *history.records(50)]))
    await run_sink(own_settings(kafka, postgres, topic, UUIDS), once=True)

    assert rows_of(postgres, UUIDS) == history.rows
    assert caplog.text.count("is not a row of entity ticket; it is skipped") == len(strange)


def test_table_and_group_are_named_after_the_entity_unless_they_are_set() -> None:
    orders = {"POSTGRES_DSN": "host=h", "DEDUP_ENTITY": "tests.sink.entities:TEXT"}
    found = load_sink_settings(orders)
    assert (found.POSTGRES_TABLE, found.SINK_GROUP) == ("parcels", "parcel-dedup-sink")
    assert found.client_id == "parcel-dedup-sink"
    assert found.KAFKA_SRC_PRODUCTS_TOPIC == "src_parcels"

    found = load_sink_settings({**orders, "POSTGRES_TABLE": "shop.p", "SINK_GROUP": "g"})
    assert (found.POSTGRES_TABLE, found.SINK_GROUP) == ("shop.p", "g")

    found = load_sink_settings({"POSTGRES_DSN": "host=h"})
    assert (found.POSTGRES_TABLE, found.SINK_GROUP) == ("products", "product-dedup-sink")
