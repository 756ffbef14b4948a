"""The statements of flink-deduplication.sql, with the settings of the environment.

    python3 statements.py [--bounded] [--without-insert]

prints SQL for `sql-client.sh -f` (or `-i`). The statements of the file are unchanged: settings are
ALTER TABLE statements between its tables and its INSERT. Needs only the standard library.
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
TABLE: Final = "src_products"
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
    found = {
        "bootstrap.servers": environ.get("KAFKA_BOOTSTRAP_SERVERS") or "localhost:9092",
        "security.protocol": protocol,
    }
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


def settings(environ: Mapping[str, str], until: str | None = None) -> list[str]:
    """Return the ALTER TABLE statements for an environment. Raises SettingError.

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
    output = {"topic": environ.get("KAFKA_SRC_PRODUCTS_TOPIC") or "src_products"}
    source = {"topic": environ.get("KAFKA_PRODUCT_TOPIC") or "products"}
    group = environ.get("FLINK_GROUP_ID")
    if group:
        source["properties.group.id"] = group
    return [
        _options(SOURCE, {**source, **connection, **source_end}),
        _options(SINK, {**output, **connection}),
        _options(TABLE, {**output, **connection, **end}),
    ]


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
    made = [
        setting
        for setting in settings(environ, until)
        if any(s.startswith(f"CREATE TABLE {setting.split()[2]} ") for s in tables)
    ]
    return [*tables, *made, *inserts]


def main() -> None:
    """Print the script, or exit with an error that names the wrong setting."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--bounded", action="store_true", help="end at the latest offsets")
    parser.add_argument("--without-insert", action="store_true", help="tables and views only")
    chosen = parser.parse_args()
    try:
        statements = script(SQL.read_text("utf-8"), os.environ, LATEST if chosen.bounded else None)
    except SettingError as error:
        sys.exit(f"Error: {error}")
    for statement in statements:
        if not (chosen.without_insert and statement.startswith("INSERT")):
            sys.stdout.write(f"{statement};\n\n")


if __name__ == "__main__":
    main()
