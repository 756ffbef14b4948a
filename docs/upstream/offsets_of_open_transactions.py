"""aiokafka: a consumer starts at an old offset while a transaction on that offset is open.

Until the transaction ends, its offset is pending. A new owner of the partition that asks for it
meanwhile gets the one from before, and processes the same records again. KIP-447 is the cure:
OffsetFetch version 7 with `require_stable`, which brokers answer with UNSTABLE_OFFSET_COMMIT until
the transaction is over. aiokafka has versions up to 3.

Exits with 0 while aiokafka has the fault, with 1 when it has not. Needs a broker: its address is
the argument, or localhost:9092.
"""

import asyncio
import sys
from typing import Final
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

PATIENCE_S: Final = 2.0


async def main(servers: str) -> int:
    """Return the exit status."""
    name = f"upstream-{uuid4().hex}"
    orders = TopicPartition(name, 0)
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with (
        AIOKafkaProducer(bootstrap_servers=servers, transactional_id=name) as producer,
        AIOKafkaConsumer(bootstrap_servers=servers, group_id=name) as consumer,
    ):
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction({orders: 10}, name)
        asked = asyncio.ensure_future(consumer.committed(orders))
        await asyncio.wait((asked,), timeout=PATIENCE_S)
        answered = asked.done()
        await producer.commit_transaction()
        print(f"committed() {'answered' if answered else 'waited'} in the open transaction.")
        print(f"It returned {await asked}; the offset of the transaction is 10.")
    return 0 if answered else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "localhost:9092")))
