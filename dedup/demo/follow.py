"""Continues the demo with one event every 1-3 seconds, and prints the addresses to look at."""

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console

from dedup.demo.example import Example
from dedup.demo.worker import DemoWorker
from dedup.settings import Settings
from producer.kafka import Event, EventSender
from producer.settings import ProducerSettings

_PAUSE_SECONDS: Final = (1.0, 3.0)
_LOOK_EVERY_S: Final = 0.2


def print_addresses(console: Console, settings: Settings, worker: DemoWorker) -> None:
    """Print what is running, and its addresses."""
    topics = (
        f"{settings.KAFKA_PRODUCT_TOPIC} -> {settings.KAFKA_SRC_PRODUCTS_TOPIC}, "
        f"{settings.KAFKA_DLQ_TOPIC}"
    )
    places = {
        "Kafka": f"{settings.KAFKA_BOOTSTRAP_SERVERS} (for any client; no password)",
        "topics": topics,
        "web page": f"{worker.url}/",
        "metrics": f"{worker.url}/metrics",
        "log": str(worker.log_path),
    }
    console.print("\nBroker and worker keep running until Ctrl-C. Where to look:", highlight=False)
    for name, place in places.items():
        console.print(f"  {name:<9} {place}", markup=False, highlight=False, soft_wrap=True)
    console.print()


async def keep_producing(
    kafka: ProducerSettings,
    example: Example,
    events: Iterator[Event],
    console: Console,
    check: Callable[[], None],
) -> None:
    """Send and print an event every 1-3 s until cancelled; `check` may raise."""
    loop = asyncio.get_running_loop()
    async with EventSender(kafka) as sender:
        for event in events:
            await sender.add(event)
            await sender.flush()
            for line in example.lines(event):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            next_at = loop.time() + random.uniform(*_PAUSE_SECONDS)  # noqa: S311 - only a pause
            while loop.time() < next_at:
                check()
                await asyncio.sleep(_LOOK_EVERY_S)
