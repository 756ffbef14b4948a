"""`dedup kafka`: runs a local Kafka broker, or three, for experiments until Ctrl-C."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import click
from rich.console import Console

from dedup.localkafka import OPTIMISED, LocalKafka, LocalKafkaError
from dedup.localkafka.jars import cache_dir, kafka_version

_EXAMPLE = """\b
Example:
  dedup kafka --port 9092 --data-dir ./kafka-data
  KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092 faust -A dedup worker
  dedup kafka --brokers 3
"""


def _run_until_signalled(kafka: LocalKafka, messages: Console) -> None:
    """Run the brokers until KeyboardInterrupt. Raises LocalKafkaError if one exits by itself."""
    with messages.status(f"Starting Apache Kafka {kafka_version()} (the first time takes longer)"):
        kafka.start()
    for line in (
        f"jars  {cache_dir()}",
        *(f"log   {broker.log_path}" for broker in kafka.brokers),
        f"data  {kafka.data_dir}",
        "Ctrl-C stops it",
    ):
        messages.print(line, markup=False, highlight=False, soft_wrap=True)
    click.echo(
        kafka.bootstrap_servers
    )  # last: a script that waits for this line may stop the process at once
    while all(broker.running for broker in kafka.brokers):
        time.sleep(0.2)
    ended = next(broker for broker in kafka.brokers if not broker.running)
    raise LocalKafkaError(
        f"The broker at {ended.bootstrap_servers} exited unexpectedly. From its log:\n"
        f"{ended.log_excerpt()}"
    )


@click.command(epilog=_EXAMPLE)
@click.option(
    "--brokers",
    type=click.Choice(["1", "3"]),
    default="1",
    show_default=True,
    help="3: a cluster that replicates, about 350 MiB of memory for each broker.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port on 127.0.0.1; three brokers take the next two as well.  [default: 9092, or another "
    "free one]",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the data here between runs.  [default: a temporary directory]",
)
@click.option(
    "--heap-mib",
    type=click.IntRange(min=128),
    default=512,
    show_default=True,
    help="Maximum heap of each broker's JVM, in MiB.",
)
def kafka(brokers: str, port: int | None, data_dir: Path | None, heap_mib: int) -> None:
    """Run a real Apache Kafka broker, or three, on this machine until Ctrl-C.

    Prints the bootstrap servers to stdout once clients can connect: one line, three addresses with
    commas. Needs the extra 'local', but no Docker and no Java. The first run downloads Kafka
    (43 MB) into ~/.cache/product-dedup, or below $XDG_CACHE_HOME; delete that directory to remove
    it.

    In topics of three brokers each record has DEDUP_REPLICATION_FACTOR copies, if the worker
    creates them: set it to 3.
    """
    messages = Console(stderr=True)
    local = LocalKafka(
        brokers=int(brokers),
        port=port,
        data_dir=data_dir,
        heap_mib=heap_mib,
        jvm_options=OPTIMISED,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run_until_signalled(local, messages)
    except KeyboardInterrupt:
        messages.print("Stopping")
    finally:
        # A second Ctrl-C must not leave a temporary directory; the stop ends in any case.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        local.stop()
