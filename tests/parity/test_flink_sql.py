"""The generated SQL, without running Flink. That it runs and is right is `make parity`."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, Field, field_validator

from dedup import Debezium, DecimalBytes, Entity, Epoch, EpochDays, Flat, Wrapped
from dedup.cli import cli
from dedup.entities.product import PRODUCT
from dedup.parity.columns import FlinkSqlError
from dedup.parity.sql import Endpoints, reference_sql
from deploy.flink.statements import SQL, script, sink_of, split
from tests.parity.customers import CUSTOMER
from tests.parity.orders import ORDER, SETTING

AT = Endpoints("broker:9092", "in", "it's out", "group")
ENTITIES = pytest.mark.parametrize("entity", [PRODUCT, ORDER, CUSTOMER], ids=lambda e: e.name)


def sql_of(entity: Entity, content: Sequence[str] | None = None) -> str:
    return reference_sql(entity, entity.content if content is None else content, AT)


def test_the_file_of_products_is_what_the_command_prints() -> None:
    """If not: `dedup flink-sql > deploy/flink/flink-deduplication.sql`."""
    printed = CliRunner().invoke(cli, ["flink-sql"])
    assert printed.exit_code == 0, printed.stderr
    assert printed.stdout == SQL.read_text("utf-8")


def test_the_command_prints_the_entity_and_the_topics_of_the_settings() -> None:
    environ = {"DEDUP_ENTITY": SETTING, "KAFKA_SRC_PRODUCTS_TOPIC": "rows"}
    done = CliRunner(env=environ).invoke(cli, ["flink-sql", "--bootstrap-servers", "inside:9092"])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("'properties.bootstrap.servers' = 'inside:9092'") == 3
    assert done.stdout.count("'topic' = 'rows'") == 2
    assert "'topic' = 'orders'" in done.stdout
    assert "'properties.group.id' = 'order-dedup-flink'" in done.stdout
    assert "product" not in done.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [("DEDUP_ORDER", "arrival"), ("DEDUP_REFRESH_AFTER", "1h")],
)
def test_a_rule_that_the_sql_does_not_have_is_refused(name: str, value: str) -> None:
    done = CliRunner(env={name: value}).invoke(cli, ["flink-sql"])
    assert done.exit_code == 1
    assert f"Error: {name}: the Flink SQL has no such rule" in done.stderr


@ENTITIES
def test_table_and_insert_have_every_field_of_a_row(entity: Entity) -> None:
    statements = split(sql_of(entity))
    table = next(s for s in statements if s.startswith(f"CREATE TABLE src_{entity.plural} ("))
    insert = next(s for s in statements if s.startswith("INSERT"))
    for field in entity.fields:
        assert f"\n    `{field.name}` {field.kind.flink}," in table
        assert f"KEY '{field.name}' VALUE" in insert
    for name in entity.provenance:
        assert f"\n    {name} " in table
        assert f"KEY '{name}' VALUE" in insert


@ENTITIES
def test_the_settings_reach_the_tables_of_any_entity(entity: Entity) -> None:
    environ = {"KAFKA_PRODUCT_TOPIC": "a", "KAFKA_SRC_PRODUCTS_TOPIC": "b"}
    settings = [s for s in script(sql_of(entity), environ) if s.startswith("ALTER TABLE")]
    names = [s.split()[2] for s in settings]
    sink = f"src_{entity.plural}_records"
    assert names == [f"{entity.name}_events_raw", sink, f"src_{entity.plural}"]
    assert ["'topic' = 'a'" in s for s in settings] == [True, False, False]
    assert sink_of(split(sql_of(entity))) == sink


@ENTITIES
def test_topics_are_escaped_and_no_gap_is_left(entity: Entity) -> None:
    sql = sql_of(entity)
    assert sql.count("'topic' = 'it''s out'") == 2
    # The only $ are those of regular expressions and of JSON paths.
    assert "${" not in sql


class Odd(BaseModel):
    """Names that are reserved words, or columns of the script's own."""

    arrival: Annotated[str, Field(max_length=10)]
    select: int
    late: bool
    outcome: str | None = None
    select_text: str | None = None
    event_timestamp: datetime


def test_names_of_fields_are_quoted_and_never_those_of_our_columns() -> None:
    envelope = Wrapped(payload="the `row`", time="record_key", unit="ms")
    sql = sql_of(Entity(name="odd", model=Odd, id="arrival", envelope=envelope))
    assert "`the ``row``` ROW<" in sql
    assert "r.`the ``row```.`select` AS `select`" in sql
    assert "`select` AS `select_text_`" in sql
    assert "TRY_CAST(`select` AS BIGINT) AS `select`" in sql
    assert "`arrival_` AS PROCTIME()" in sql
    assert "AS `late_`" in sql
    assert "END AS `outcome_`" in sql
    assert "`record_key_` STRING" in sql
    assert "'key.fields' = 'record_key_'" in sql
    assert "`event_timestamp_` < MAX(`event_timestamp_`)" in sql


class Timed(BaseModel):
    """Each way to carry a time or a date."""

    id: int
    s: Annotated[datetime, Epoch("s")]
    ms: Annotated[datetime, Epoch("ms")] = datetime(1970, 1, 2)  # noqa: DTZ001 - UTC where none is said
    us: Annotated[datetime, Epoch("us")]
    days: Annotated[date, EpochDays()] = date(1970, 1, 3)
    iso: datetime


def test_times_are_read_in_their_unit_and_defaults_as_events_carry_them() -> None:
    sql = sql_of(Entity(name="timed", model=Timed, id="id", envelope=Flat(time="iso")))
    assert "CAST(TO_TIMESTAMP_LTZ(TRY_CAST(`s` AS BIGINT), 0) AS TIMESTAMP(6)) AS `s`" in sql
    assert "TRY_CAST(`s_text` AS BIGINT) BETWEEN -62135596800 AND 253402300799\n" in sql
    assert "COALESCE(r.`ms`, '86400000') AS `ms`" in sql
    assert "CAST(TO_TIMESTAMP_LTZ(TRY_CAST(`ms` AS BIGINT), 3) AS TIMESTAMP(6)) AS `ms`" in sql
    assert "COALESCE(r.`days`, '2') AS `days`" in sql
    assert "TIMESTAMPADD(DAY, TRY_CAST(`days` AS INT), DATE '1970-01-01') AS `days`" in sql
    assert "MOD(MOD(TRY_CAST(`us` AS BIGINT), 1000000)" in sql
    assert "REGEXP_EXTRACT(`iso`, '([+-][0-9]{2})(?::?[0-9]{2})?$', 1)" in sql


class Limited(BaseModel):
    """Limits of each kind."""

    id: Annotated[str, Field(max_length=8)]
    price: Annotated[Decimal, Field(ge=0, le=5, max_digits=38, decimal_places=4)]
    exact: Annotated[Decimal, Field(max_digits=38, decimal_places=18)]
    name: Annotated[str, Field(pattern="^x")]
    at: datetime

    @field_validator("name")
    @classmethod
    def _judge(cls, name: str) -> str:
        return name


def test_limits_become_conditions_and_what_sql_cannot_say_is_told() -> None:
    sql = sql_of(Entity(name="limited", model=Limited, id="id", envelope=Flat(time="at")))
    assert "AND CHAR_LENGTH(`id`) BETWEEN 1 AND 8" in sql
    # 34 digits before the point leave 4 for the wider type: nothing to compare with.
    assert "AS DECIMAL(38, 4)) AS `price`" in sql
    assert "`price` = TRY_CAST" not in sql
    assert "AND `price` >= 0\n    AND `price` <= 5" in sql
    assert "-- Not checked here: limits of name that SQL can't express.\n" in sql
    assert "-- Not checked here: the validators of the model.\n" in sql


def test_a_change_event_is_read_with_and_without_its_schema() -> None:
    sql = sql_of(CUSTOMER)
    assert "COALESCE(r.`op`, r.`payload`.`op`) AS `op`" in sql
    assert "COALESCE(r.`after`.`name`, r.`payload`.`after`.`name`) AS `name`" in sql
    assert "JSON_VALUE(record_key, '$.payload.id')" in sql
    assert "CASE WHEN `op` NOT IN ('d') THEN JSON_ARRAY(" in sql


def test_an_entity_that_sql_cannot_read_is_refused_with_field_and_reason() -> None:
    class Priced(BaseModel):
        id: int
        price: Annotated[Decimal, Field(max_digits=9, decimal_places=2), DecimalBytes(2)]

    entity = Entity(name="priced", model=Priced, id="id", envelope=Debezium())
    with pytest.raises(FlinkSqlError, match=r"field price: .*decimal\.handling\.mode=string"):
        sql_of(entity)
    with pytest.raises(FlinkSqlError, match="DEDUP_CONTENT_FIELDS names colour"):
        sql_of(ORDER, ["status", "colour"])


def test_only_the_chosen_content_is_compared() -> None:
    assert "JSON_ARRAY(\n        `status`\n        NULL ON NULL)" in sql_of(ORDER, ["status"])
