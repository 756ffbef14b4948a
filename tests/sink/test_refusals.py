"""What the sink refuses, and the error it reports."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dedup.core.errors import SettingsError
from dedup.kafka.admin import TopicError
from dedup.localkafka.ports import free_port
from dedup.sink import connecting, consuming
from dedup.sink.connecting import SinkError
from dedup.sink.consuming import run_sink
from dedup.sink.settings import SinkSettings, load_sink_settings
from docs.generate.configuration import sink_table
from tests.sink.running import environ, process, running, settings, table, until_equal
from tests.support.administration import admin, delete
from tests.support.postgres import PostgresServer
from tests.support.rows import RandomTopic, expected_row, make_topic, row, write

ROW = row(1, 7)
ROW_JSON = json.dumps(ROW).encode()

SEED = """
CREATE TABLE products (
    product_id SERIAL PRIMARY KEY, product_name VARCHAR(255) NOT NULL, description TEXT,
    price DECIMAL(10, 2) NOT NULL, stock_quantity INT NOT NULL DEFAULT 0,
    discount DECIMAL(10, 2) DEFAULT 0,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP
);"""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("DROP COLUMN discount", "products has no column discount"),
        ("ALTER product_name TYPE varchar(100)", "products.product_name is character varying(100)"),
        ("ALTER product_id TYPE smallint", "products.product_id is smallint"),
        ("ALTER price TYPE numeric(9, 2)", "products.price is numeric(9,2), which can't hold"),
        ("ALTER price TYPE numeric(12, 1)", "products.price is numeric(12,1)"),
        ("ALTER price TYPE double precision", "products.price is double precision"),
        ("ALTER stock_quantity TYPE smallint", "products.stock_quantity is smallint"),
        ("ALTER updated_at TYPE timestamp", "updated_at is timestamp without time zone"),
        ("ALTER created_at TYPE timestamptz(3)", "created_at is timestamp(3) with time zone"),
        ("ALTER description SET NOT NULL", "products.description is NOT NULL"),
        ("ADD COLUMN shop int NOT NULL", "products.shop is NOT NULL and has no default"),
        ("DROP CONSTRAINT products_pkey", "products.product_id is not unique"),
        (
            "DROP COLUMN discount, ADD COLUMN discount numeric GENERATED ALWAYS AS (price) STORED",
            "products.discount is GENERATED ALWAYS",
        ),
    ],
)
async def test_a_table_that_can_t_take_every_row_is_refused_by_its_column(
    kafka: str, postgres: PostgresServer, change: str, sentence: str
) -> None:
    topic = await make_topic(kafka)
    postgres.ask(f"{SEED} ALTER TABLE products {change}")
    with pytest.raises(SinkError) as refused:
        await run_sink(settings(kafka, postgres, topic), once=True)

    assert sentence in str(refused.value)


async def test_the_seed_s_table_is_accepted_and_so_are_wider_ones(
    kafka: str, postgres: PostgresServer
) -> None:
    postgres.ask(f"{SEED} ALTER TABLE products ADD COLUMN note text, ALTER price TYPE numeric")
    topic = await make_topic(kafka)
    await write(kafka, topic, iter([(1, b'{"product_id":1}', ROW_JSON)]))
    await run_sink(settings(kafka, postgres, topic), once=True)

    assert table(postgres) == {1: expected_row(ROW)}


async def test_a_table_in_a_schema_of_its_own_is_created_there(
    kafka: str, postgres: PostgresServer
) -> None:
    postgres.ask('DROP SCHEMA IF EXISTS "Shop" CASCADE; CREATE SCHEMA "Shop"')
    topic = await make_topic(kafka)
    await write(kafka, topic, iter([(1, b"1", ROW_JSON)]))
    await run_sink(settings(kafka, postgres, topic, POSTGRES_TABLE="Shop.Items"), once=True)

    assert postgres.ask('SELECT stock_quantity FROM "Shop"."Items"') == [(7,)]
    assert postgres.ask('SELECT next_offset FROM "Shop"."Items_offsets" WHERE partition = 1') == [
        (1,)
    ]


async def test_a_value_the_table_has_no_room_for_stops_the_sink_and_nothing_of_its_batch_stays(
    kafka: str, postgres: PostgresServer
) -> None:
    """SERIAL is the seed's type of product_id, and an event may hold more."""
    postgres.ask(SEED)
    topic = await make_topic(kafka)
    large = json.dumps(row(2**40, 1)).encode()
    await write(kafka, topic, iter([(1, b"1", ROW_JSON), (1, b"%d" % 2**40, large)]))
    with pytest.raises(SinkError, match="refuses to write products: integer out of range"):
        await run_sink(settings(kafka, postgres, topic), once=True)
    assert table(postgres) == {}

    postgres.ask("ALTER TABLE products ALTER product_id TYPE bigint")
    await run_sink(settings(kafka, postgres, topic), once=True)
    assert table(postgres).keys() == {1, 2**40}


async def test_rows_of_unknown_origin_are_kept_unless_a_rebuild_is_asked_for(
    kafka: str, postgres: PostgresServer
) -> None:
    postgres.ask(SEED)
    postgres.ask("INSERT INTO products (product_name, price) VALUES ('mine', 1)")
    topic, history = await make_topic(kafka), RandomTopic(1)
    postgres.ask("ALTER TABLE products ALTER product_id TYPE bigint")
    await write(kafka, topic, history.records(50))
    with pytest.raises(SinkError, match=r"has rows that do not come from .* --rebuild"):
        await run_sink(settings(kafka, postgres, topic), once=True)
    assert len(table(postgres)) == 1

    await run_sink(settings(kafka, postgres, topic), once=True, rebuild=True)
    assert table(postgres) == history.table


@pytest.mark.parametrize("longer", [False, True])
async def test_a_recreated_topic_is_detected_and_a_rebuild_reads_it(
    kafka: str, postgres: PostgresServer, longer: bool
) -> None:
    """Also when it already has more records than the old one had."""
    topic = await make_topic(kafka)
    await write(kafka, topic, RandomTopic(1).records(100))
    await run_sink(settings(kafka, postgres, topic), once=True)
    async with admin(kafka) as client:
        await delete(client, topic)
    await make_topic(kafka, topic)
    history = RandomTopic(2)
    await write(kafka, topic, history.records(500 if longer else 20))
    with pytest.raises(SinkError, match="is not the topic that products was filled from"):
        await run_sink(settings(kafka, postgres, topic), once=True)

    await run_sink(settings(kafka, postgres, topic), once=True, rebuild=True)
    assert table(postgres) == history.table


async def test_an_absence_longer_than_tombstones_are_kept_is_an_error(
    kafka: str, postgres: PostgresServer
) -> None:
    """Unless nothing arrived meanwhile: then nothing was missed."""
    topic, history = await make_topic(kafka), RandomTopic(1)
    await write(kafka, topic, history.records(100))
    await run_sink(settings(kafka, postgres, topic), once=True)
    postgres.ask("UPDATE products_offsets SET read_at = now() - interval '25 hours'")
    await run_sink(settings(kafka, postgres, topic), once=True)
    await write(kafka, topic, history.records(100))
    with pytest.raises(SinkError, match=r"delete\.retention\.ms=86400000: deletes may be missed"):
        await run_sink(settings(kafka, postgres, topic), once=True)


async def test_an_idle_partition_counts_as_read(
    kafka: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "READ_AGAIN_S", 0.0)
    topic, history = await make_topic(kafka), RandomTopic(1)
    await write(kafka, topic, history.records(100))
    absent = "UPDATE products_offsets SET read_at = now() - interval '25 hours'"
    async with running(settings(kafka, postgres, topic)):
        await until_equal(postgres, history.table)
        # In a thread: it may wait for a transaction of the sink, which goes on in this one.
        await asyncio.to_thread(postgres.ask, absent)
        old = "SELECT 1 FROM products_offsets WHERE read_at < now() - interval '1 hour'"
        while postgres.ask(old):
            await asyncio.sleep(0.05)


async def test_a_topic_that_is_not_there_is_named(kafka: str, postgres: PostgresServer) -> None:
    with pytest.raises(TopicError, match="no topic KAFKA_SRC_PRODUCTS_TOPIC=nowhere"):
        await run_sink(settings(kafka, postgres, "nowhere"), once=True)


async def test_a_postgres_that_is_not_there_is_named_and_no_secret_is(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "START_WITHIN_S", 0.5)
    own = {"POSTGRES_DSN": f"postgresql://sink:s3cret@127.0.0.1:{free_port()}/x"}
    own |= {"KAFKA_BOOTSTRAP_SERVERS": kafka}
    own |= {"KAFKA_SRC_PRODUCTS_TOPIC": await make_topic(kafka)}
    with pytest.raises(
        SinkError, match=r"connect to PostgreSQL .*refused.*POSTGRES_DSN"
    ) as refused:
        await run_sink(load_sink_settings(own))
    assert "s3cret" not in str(refused.value)


async def test_a_missing_permission_is_named(kafka: str, postgres: PostgresServer) -> None:
    postgres.ask("CREATE ROLE reader LOGIN")
    postgres.ask("GRANT USAGE ON SCHEMA public TO reader")
    own = {"POSTGRES_DSN": postgres.dsn.replace("sink@", "reader@")}
    with pytest.raises(SinkError, match=r"permission denied for schema public.*GRANT SELECT"):
        await run_sink(settings(kafka, postgres, await make_topic(kafka), **own), once=True)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "POSTGRES_DSN is not set: Connection to PostgreSQL"),
        ({"POSTGRES_DSN": "s3cret"}, "POSTGRES_DSN is not accepted: expected postgresql://"),
        ({"POSTGRES_DSN": "postgresql://a:s3cret@h:1/x?no=1"}, "POSTGRES_DSN is not accepted"),
        ({"POSTGRES_DSN": "host=h", "POSTGRES_TABLE": "a b"}, "POSTGRES_TABLE=a b is not accepted"),
    ],
)
def test_settings_that_can_t_be_used_are_named_without_the_secret(
    given: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load_sink_settings(given)

    assert sentence in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_the_dsn_is_in_no_text_of_the_settings() -> None:
    found = load_sink_settings({"POSTGRES_DSN": "host=h password=s3cret"})

    assert "s3cret" not in f"{found!r} {found} {found.model_dump()}"


def test_the_documented_settings_of_the_sink_are_the_ones_there_are() -> None:
    documented = Path(__file__).parents[2] / "docs" / "configuration.md"

    assert sink_table() in documented.read_text(), "run `make docs`"
    assert all(field.description for field in SinkSettings.model_fields.values())


def test_without_the_driver_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['psycopg'] = None; from dedup.cli import cli; cli()"
    done = subprocess.run(
        [sys.executable, "-c", code, "sink", "postgres"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'product-dedup[postgres]'" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_command_exits_with_1_and_an_error_message(
    kafka: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    postgres.ask("CREATE TABLE products (product_id bigint PRIMARY KEY)")
    log = tmp_path / "log"
    with process(environ(kafka, postgres, await make_topic(kafka)), log) as sink:
        assert await asyncio.to_thread(sink.wait, 60) == 1
    assert "Error: products has no column product_name" in log.read_text()
    assert "Traceback" not in log.read_text()
