"""A run of the producer: its rate, its output and its shutdown."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Final

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from dedup.observability.logs import log_to_stderr
from producer.events import EventGenerator, GeneratedEvent, Kind
from producer.kafka import EventSender, Partitioner
from producer.lines import event_lines, summary_line
from producer.settings import ProducerSettings

_READABLE_RATE: Final = 100.0
"""Events per second above which nobody reads a line for each."""

_PAUSE_SECONDS: Final = (1.0, 3.0)
_TICK_SECONDS: Final = 0.02
_LARGEST_STEP: Final = 5_000
"""Events sent at once when a paced run has fallen behind."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many events, and how fast: `rate` None pauses at random, 0 does not wait at all."""

    count: int | None = None
    rate: float | None = None
    quiet: bool = False

    @property
    def shows_lines(self) -> bool:
        """Whether each event gets a line; otherwise there is a progress bar."""
        return not self.quiet and (self.rate is None or 0 < self.rate <= _READABLE_RATE)


async def run(
    settings: ProducerSettings,
    generator: EventGenerator,
    pace: Pace,
    pauses: Random,
    partitioner: Partitioner = "murmur2",
) -> None:
    """Send events until the count is reached or a signal comes, then print a summary.

    The first SIGINT or SIGTERM shuts down gracefully: what was generated is delivered. A second one
    gives up at once. Raises ExplainedError.
    """
    stop = _stop_on_signals()
    duplicates = 0

    def generated() -> Iterator[GeneratedEvent]:
        nonlocal duplicates
        for event in islice(generator, pace.count):
            if stop.is_set():
                return
            duplicates += event.kind is Kind.DUPLICATE
            yield event

    events = generated()
    with _progress(pace) as on_sent:
        async with EventSender(settings, on_sent, partitioner=partitioner) as sender:
            log_to_stderr()  # an outage from now on; one at the start is an error
            if pace.rate is None:
                await _send_with_pauses(sender, events, pace, pauses, stop)
            elif pace.rate > 0:
                await _send_at_rate(sender, events, pace, stop)
            else:
                await _send_at_once(sender, events)
    click.echo(summary_line(sender.sent, duplicates))


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def on_signal() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    with suppress(NotImplementedError):  # an event loop of Windows: Ctrl-C interrupts instead
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, on_signal)
    return stop


async def _send_with_pauses(
    sender: EventSender,
    events: Iterator[GeneratedEvent],
    pace: Pace,
    pauses: Random,
    stop: asyncio.Event,
) -> None:
    for event in events:
        await _send(sender, [event], pace)
        if sender.sent != pace.count:
            await _sleep(pauses.uniform(*_PAUSE_SECONDS), stop)


async def _send_at_rate(
    sender: EventSender, events: Iterator[GeneratedEvent], pace: Pace, stop: asyncio.Event
) -> None:
    """Send each event when it is due, counted from the start: delays do not add up."""
    rate = pace.rate or 1.0
    clock = asyncio.get_running_loop().time
    start = clock()
    while not stop.is_set() and sender.sent != pace.count:
        due = int((clock() - start) * rate) + 1 - sender.sent
        step = list(islice(events, min(due, _LARGEST_STEP)))
        await _send(sender, step, pace)
        if sender.sent != pace.count:
            next_due = start + sender.sent / rate
            await _sleep(max(next_due - clock(), min(_TICK_SECONDS, 1 / rate)), stop)


async def _send_at_once(sender: EventSender, events: Iterator[GeneratedEvent]) -> None:
    for event in events:
        await sender.add(event)
    await sender.flush()


async def _send(sender: EventSender, step: list[GeneratedEvent], pace: Pace) -> None:
    for event in step:
        await sender.add(event)
    await sender.flush()
    if pace.shows_lines:
        for event in step:
            click.echo("\n".join(event_lines(event)))


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


class _RateColumn(ProgressColumn):
    """Events per second, once there is a rate."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


@contextmanager
def _progress(pace: Pace) -> Iterator[Callable[[int], None] | None]:
    """Show a progress bar on stderr unless there are lines; yield what advances it.

    The bar appears with the first event that was sent, so that an earlier error is shown alone.
    """
    if pace.shows_lines:
        yield None
        return
    progress = Progress(
        TextColumn("📦 {task.completed:,.0f} events"),
        BarColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
    )
    task = progress.add_task("events", total=pace.count)

    def on_sent(sent: int) -> None:
        progress.start()
        progress.update(task, completed=sent)

    try:
        yield on_sent
    finally:
        if progress.live.is_started:
            progress.stop()
