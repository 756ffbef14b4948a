"""A steady feed in a process of its own, which says how steady it was: `python -m benchmarks.feed`.

Every 10 ms it sends what is due. Of each event it notes by how much it was late (its time, less the
moment when it was due) and when the brokers acknowledged it (that moment, less its time): a tail of
a latency that is in these figures is the feed's or the broker's, not the worker's. Its garbage
collector is off. The result is a JSON file.
"""

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from benchmarks.churn import Churn
from benchmarks.soak_report import percentiles
from tests.support.topics import partition_of

BATCH_BYTES: Final = 900 * 1024
STEP_S: Final = 0.01
STEP_EVENTS: Final = 1_000
"""What a feed that fell behind may send at once: it fits one record batch."""

SHARES: Final = {"p50": 0.50, "p99": 0.99, "p999": 0.999, "max": 1.0}

_partition_of = lru_cache(100_000)(partition_of)


def shares_of(values_us: Sequence[int]) -> dict[str, float]:
    """Return the percentiles of `SHARES` in milliseconds."""
    return dict(zip(SHARES, percentiles(values_us, *SHARES.values()), strict=True))


class Feed:
    """One feed; `late_us` and `acknowledged_us` are those of events after the warming up."""

    def __init__(self, topic: str, rate: int, churn: Churn) -> None:
        self.late_us: list[int] = []
        self.acknowledged_us: list[int] = []
        self._topic = topic
        self._rate = rate
        self._churn = churn
        self._waiting: set[asyncio.Future[Any]] = set()

    async def run(self, servers: str, warm_up_s: float, seconds: float) -> dict[str, Any]:
        """Feed for so long; gives what there is to say about it."""
        async with AIOKafkaProducer(
            bootstrap_servers=servers, enable_idempotence=True, max_batch_size=BATCH_BYTES
        ) as producer:
            begun_us = time.time_ns() // 1000
            counted_from_us = begun_us + int(warm_up_s * 1e6)
            until_us = counted_from_us + int(seconds * 1e6)
            made = 0
            while (now_us := time.time_ns() // 1000) < until_us:
                due = int((now_us - begun_us) * self._rate / 1e6) - made
                await self._step(producer, begun_us, made, min(due, STEP_EVENTS), counted_from_us)
                made += max(0, min(due, STEP_EVENTS))
                await asyncio.sleep(STEP_S)
            while self._waiting:
                await asyncio.wait(self._waiting)
        return {
            "counted_from_us": counted_from_us,
            "events_per_s": round(len(self.late_us) / seconds),
            "late_ms": shares_of(self.late_us),
            "acknowledged_ms": shares_of(self.acknowledged_us),
        }

    async def _step(
        self, producer: AIOKafkaProducer, begun_us: int, made: int, due: int, counted_from_us: int
    ) -> None:
        batches: dict[int, tuple[Any, list[int]]] = {}
        for number in range(made, made + due):
            product_id, value = self._churn.event()
            at_us = time.time_ns() // 1000
            key = b"%d" % product_id
            partition = _partition_of(key)
            if partition not in batches:
                batches[partition] = producer.create_batch(), []
            batch, times_us = batches[partition]
            batch.append(timestamp=None, key=key, value=value)
            if at_us >= counted_from_us:
                times_us.append(at_us)
                self.late_us.append(at_us - begun_us - int(number * 1e6 / self._rate))
        for partition, (batch, times_us) in batches.items():
            sent = await producer.send_batch(batch, self._topic, partition=partition)
            self._note(sent, times_us)

    def _note(self, sent: asyncio.Future[Any], times_us: list[int]) -> None:
        """Remember when a batch is acknowledged."""

        def acknowledged(done: asyncio.Future[Any]) -> None:
            self._waiting.discard(done)
            done.result()
            now_us = time.time_ns() // 1000
            self.acknowledged_us += [now_us - at_us for at_us in times_us]

        self._waiting.add(sent)
        sent.add_done_callback(acknowledged)


def main(argv: Sequence[str] | None = None) -> None:
    """Feed a topic and write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feed", description=__doc__)
    parser.add_argument("servers")
    parser.add_argument("topic")
    parser.add_argument("result", type=Path)
    parser.add_argument("--rate", type=int, required=True, help="events a second")
    parser.add_argument("--warm-up", type=float, required=True, help="seconds that do not count")
    parser.add_argument("--seconds", type=float, required=True, help="seconds that count")
    parser.add_argument("--live", type=int, required=True, help="products that exist at once")
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args(argv)
    gc.disable()
    feed = Feed(arguments.topic, arguments.rate, Churn(arguments.seed, arguments.live))
    said = asyncio.run(feed.run(arguments.servers, arguments.warm_up, arguments.seconds))
    arguments.result.write_text(json.dumps(said))


if __name__ == "__main__":
    main()
