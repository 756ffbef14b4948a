"""The job as a plain loop over aiokafka: what Python on aiokafka can do at most.

Whole fetches, multi-get, one record batch per partition, one write batch, then the commit. No
validation, no recovery, no rebalance: an upper limit, nothing to run.
"""

import asyncio
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rocksdict import Options, Rdict, WriteBatch

from benchmarks.peers import environment
from benchmarks.peers.job import decide, now_text, output_key

BATCH_BYTES: Final = 900 * 1024
FETCH_BYTES: Final = 1024 * 1024


class Partition:
    """One partition's state and output."""

    def __init__(self, number: int, producer: AIOKafkaProducer) -> None:
        self._number = number
        self._producer = producer
        self._db = Rdict(str(environment.DIRECTORY / str(number)), Options(raw_mode=True))

    async def apply(self, records: list[Any]) -> None:
        """Deduplicate a fetch; returns when its output is acknowledged and its state written."""
        keys = list({record.key for record in records})
        found: list[bytes | None] = self._db[keys] or []
        known = {key: data.decode() for key, data in zip(keys, found, strict=True) if data}
        now = now_text()
        batches = [self._producer.create_batch()]
        written = {}
        for record in records:
            event = orjson.loads(record.value)
            decision = decide(event, known.get(record.key), now)
            if decision is None:
                continue
            known[record.key] = written[record.key] = decision.state
            if decision.emit:
                key = output_key(event["product"]["product_id"])
                value = None if decision.row is None else orjson.dumps(decision.row)
                if batches[-1].append(timestamp=None, key=key, value=value) is None:
                    batches.append(self._producer.create_batch())
                    batches[-1].append(timestamp=None, key=key, value=value)
        await self._publish(batches)
        states = WriteBatch(raw_mode=True)
        for key, state in written.items():
            states.put(key, state.encode())
        self._db.write(states)

    async def _publish(self, batches: list[Any]) -> None:
        sent = [
            await self._producer.send_batch(batch, environment.OUTPUT, partition=self._number)
            for batch in batches
            if batch.record_count()
        ]
        for acknowledged in sent:
            await acknowledged


async def main() -> None:
    """Deduplicate until ended from outside."""
    consumer = AIOKafkaConsumer(
        environment.SOURCE,
        bootstrap_servers=environment.SERVERS,
        group_id=environment.GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=environment.SERVERS,
        enable_idempotence=True,
        acks="all",
        max_batch_size=BATCH_BYTES,
    )
    partitions: dict[int, Partition] = {}
    async with consumer, producer:
        while True:
            fetched = await consumer.getmany(timeout_ms=200)
            work = []
            for tp, records in fetched.items():
                if tp.partition not in partitions:
                    partitions[tp.partition] = Partition(tp.partition, producer)
                work.append(partitions[tp.partition].apply(records))
            if work:
                await asyncio.gather(*work)
                await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main())
