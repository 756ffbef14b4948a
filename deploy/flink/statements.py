"""The statements of a script of `dedup flink-sql`, with the settings of the environment.

    python3 statements.py [--sql FILE] [--bounded] [--without-insert]

prints SQL for `sql-client.sh -f` (or `-i`); without a file that of flink-deduplication.sql, for
products. The statements of the file are unchanged: settings are ALTER TABLE statements between its
tables and its INSERT. Needs only the standard library.
"""

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SQL: Final = Path(__file__).with_name("flink-deduplication.sql")
SOURCE: Final = "product_events_raw"
SINK: Final = "src_products_records"
_TABLE: Final = re.compile(r"CREATE TABLE (\w+) ")
_OFFSETS: Final = re.compile(r"partition:\d+,offset:\d+(?:;partition:\d+,offset:\d+)*")
_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_MODULES: Final = {"PLAIN": "plain.PlainLoginModule"}
_SHADED: Final = "org.apache.flink.kafka.shaded.org.apache.kafka.common.security."


class SettingError(ValueError):
    """A setting can't be used; the message says why."""


def split(sql: str) -> list[str]:
    """Split a script at semicolons outside comments and quotes; drop comments."""
    tokens = re.findall(r"--[^\n]*|'(?:[^']|'')*'|`[^`]*`|;|[^-'`;]+|-", sql)
    text = "".join("\0" if t == ";" else "" if t.startswith("--") else t for t in tokens)
    return [statement.strip() for statement in text.split("\0") if statement.strip()]


def _options(table: str, options: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{_quoted(name)} = {_quoted(value)}" for name, value in options.items())
    return f"ALTER TABLE {table} SET ({pairs})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _connection(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the connector's properties for the KAFKA_* settings of producer and worker."""
    protocol = environ.get("KAFKA_SECURITY_PROTOCOL") or "PLAINTEXT"
    if protocol not in _PROTOCOLS:
        raise SettingError(
            f"KAFKA_SECURITY_PROTOCOL={protocol} is not accepted: one of {', '.join(_PROTOCOLS)}"
        )
    found = {"security.protocol": protocol}
    if environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        found["bootstrap.servers"] = environ["KAFKA_BOOTSTRAP_SERVERS"]
    if protocol.startswith("SASL"):
        user, password = environ.get("KAFKA_USER"), environ.get("KAFKA_PASSWORD")
        if not user or not password:
            raise SettingError(
                f"KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_USER and KAFKA_PASSWORD"
            )
        mechanism = environ.get("KAFKA_SASL_MECHANISM") or "PLAIN"
        module = _MODULES.get(mechanism, "scram.ScramLoginModule")
        found["sasl.mechanism"] = mechanism
        found["sasl.jaas.config"] = (
            f'{_SHADED}{module} required username="{_escaped(user)}" '
            f'password="{_escaped(password)}";'
        )
    if protocol.endswith("SSL") and environ.get("KAFKA_CERT"):
        found["ssl.truststore.type"] = "PEM"
        found["ssl.truststore.location"] = environ["KAFKA_CERT"]
    return {f"properties.{name}": value for name, value in found.items()}


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


LATEST: Final = "latest-offset"


def settings(tables: list[str], environ: Mapping[str, str], until: str | None = None) -> list[str]:
    """Return the ALTER TABLE statements of the script's tables. Raises SettingError.

    `until` ends the source: `LATEST`, or offsets as `partition:0,offset:42;partition:1,...`.
    """
    connection = _connection(environ)
    end = {} if until is None else {"scan.bounded.mode": LATEST}
    source_end = end
    if until is not None and until != LATEST:
        source_end = {
            "scan.bounded.mode": "specific-offsets",
            "scan.bounded.specific-offsets": until,
        }
    output = _given(environ, topic="KAFKA_SRC_PRODUCTS_TOPIC")
    source = _given(
        environ, topic="KAFKA_PRODUCT_TOPIC", **{"properties.group.id": "FLINK_GROUP_ID"}
    )
    options = {
        "source": {**source, **connection, **source_end},
        "sink": {**output, **connection},
        "table": {**output, **connection, **end},
    }
    named = [found for statement in tables if (found := _table(statement))]
    return [_options(name, options[role]) for name, role in named]


def _table(statement: str) -> tuple[str, str] | None:
    """Return the name of a table and its role; None for what creates no table."""
    match = _TABLE.match(statement)
    if match is None:
        return None
    if match[1].endswith("_events_raw"):
        return match[1], "source"
    return match[1], "table" if "'upsert-kafka'" in statement else "sink"


def _given(environ: Mapping[str, str], **names: str) -> dict[str, str]:
    """Return the options whose settings are in the environment; the script has the others."""
    return {option: environ[name] for option, name in names.items() if environ.get(name)}


def sink_of(statements: list[str]) -> str | None:
    """Return the table that a script writes plain records to; None when it has none."""
    named = [found for each in statements if (found := _table(each))]
    return next((name for name, role in named if role == "sink"), None)


def emitted_from(offsets: str) -> str:
    """Return a condition for events at or after `partition:0,offset:42;partition:1,...`."""
    found = _OFFSETS.fullmatch(offsets) and re.findall(r"partition:(\d+),offset:(\d+)", offsets)
    if not found:
        raise SettingError(
            f"{offsets!r} are not offsets: expected partition:0,offset:42;partition:1,offset:17"
        )
    known = " OR ".join(
        f"(source_partition = {partition} AND source_offset < {offset})"
        for partition, offset in found
    )
    return f"NOT ({known})"


def script(sql: str, environ: Mapping[str, str], until: str | None = None) -> list[str]:
    """Return all statements in order, with the settings of the tables before the INSERT.

    Raises SettingError.
    """
    statements = split(sql)
    inserts = [s for s in statements if s.startswith("INSERT")]
    tables = [s for s in statements if not s.startswith("INSERT")]
    return [*tables, *settings(tables, environ, until), *inserts]


def main() -> None:
    """Print the script, or exit with an error that names the wrong setting."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sql", type=Path, default=SQL, help="what `dedup flink-sql` printed")
    parser.add_argument("--bounded", action="store_true", help="end at the latest offsets")
    parser.add_argument("--without-insert", action="store_true", help="tables and views only")
    chosen = parser.parse_args()
    try:
        statements = script(
            chosen.sql.read_text("utf-8"), os.environ, LATEST if chosen.bounded else None
        )
    except SettingError as error:
        sys.exit(f"Error: {error}")
    for statement in statements:
        if not (chosen.without_insert and statement.startswith("INSERT")):
            sys.stdout.write(f"{statement};\n\n")


if __name__ == "__main__":
    main()
