"""aiokafka: a consumer never gets past a record with a header key that is not UTF-8.

Brokers accept any bytes there, and other clients write them. aiokafka decodes the key as UTF-8 when
it unpacks a record, and raises UnicodeDecodeError. The position stays, so that the next fetch ends
in the same way, and one record stops its partition.

Exits with 0 while aiokafka has the fault, with 1 when it has not. Needs no broker.
"""

import asyncio
import sys
from typing import Final

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import (
    READ_UNCOMMITTED,
    FetchResult,
    MemoryRecords,
    PartitionRecords,
)
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record.default_records import DefaultRecordBatchBuilder

ORDERS: Final = TopicPartition("orders", 0)
FETCHES: Final = 3


def record_batch() -> bytes:
    """Return a record batch as a broker returns it; the second record has such a header key."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1024,
    )
    builder.append(0, timestamp=0, key=None, value=b"first", headers=[])
    builder.append(1, timestamp=0, key=None, value=b"second", headers=[("latin", b"1")])
    return bytes(builder.build()).replace(b"latin", b"l\xe1tin")


async def main() -> int:
    """Return the exit status."""
    subscriptions = SubscriptionState()
    subscriptions.assign_from_user({ORDERS})
    assignment = subscriptions.subscription.assignment
    state = assignment.state_value(ORDERS)
    state.seek(0)
    for _ in range(FETCHES):
        records = PartitionRecords(
            ORDERS,
            MemoryRecords(record_batch()),
            aborted_transactions=[],
            fetch_offset=state.position,
            key_deserializer=None,
            value_deserializer=None,
            check_crcs=False,  # the replaced byte is not in the checksum
            isolation_level=READ_UNCOMMITTED,
        )
        fetched = FetchResult(ORDERS, assignment=assignment, partition_records=records, backoff=0)
        try:
            print(f"getmany() returns {len(fetched.getall())} records.")
        except UnicodeDecodeError as error:
            print(f"getmany() raises {error!r}; the position is {state.position}.")
        else:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
