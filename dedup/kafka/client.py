"""What is changed in aiokafka, in one place, and only when `adjust_aiokafka` is called."""

from typing import Final

from aiokafka import client
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer import fetcher
from aiokafka.errors import kafka_errors
from aiokafka.producer import sender

from dedup.kafka.broker_errors import MISSING_ERRORS
from dedup.kafka.closing import ending
from dedup.kafka.header_keys import AnyKeyPartitionRecords, KeptRecords
from dedup.kafka.reconnecting import (
    asking,
    bounded,
    giving_up,
    listing,
    noting,
    pausing,
    refreshing,
)

NEXT_TRANSACTION_S: Final = 0.005


def adjust_aiokafka() -> None:
    """Adjust the aiokafka of this process; calling it again changes nothing.

    Whoever makes a client calls it first. aiokafka 0.14 offers no setting and no seam for these:

    * `fetcher.MemoryRecords`, `fetcher.PartitionRecords`: read records with a header key that is
      not UTF-8. Brokers accept such keys; aiokafka's fetcher raises UnicodeDecodeError, and its
      consumer never gets past that record. See `header_keys`.
    * `kafka_errors`: give GROUP_MAX_SIZE_REACHED, FENCED_INSTANCE_ID and INVALID_RECORD a class.
      aiokafka maps them to UnknownError, which looks like something that a retry may cure.
    * `sender.BACKOFF_OVERRIDE`: wait 5 ms instead of 20 ms before the next transaction. Brokers
      refuse it until the markers of the one before are written (KAFKA-5477), some milliseconds.
    * `AIOKafkaClient._get_conn`: pause before reconnecting to a broker, and note which brokers are
      unreachable. aiokafka reconnects at once, thousands of times a second. See `reconnecting`.
    * `AIOKafkaClient._metadata_update`: pause while it does not find what it asks for. aiokafka
      asks again at once. See `reconnecting`.
    * `AIOKafkaClient.bootstrap`: wait for metadata that lists a broker. aiokafka accepts metadata
      without one, and later fails an assertion. See `reconnecting`.
    * `client.create_conn`: connect in bounded time. aiokafka waits for a silent broker as long as
      for a request, 40 s, and connects to no other meanwhile. See `reconnecting`.
    * `AIOKafkaConnection.send`: renew a connection on which a request for metadata is not answered.
    * `AIOKafkaConnection._handle_frame`: note when a broker last answered.
    * `Fetcher._proc_offset_request`: ask for metadata when a broker does not lead a partition any
      more. aiokafka asks that broker again and again. See `reconnecting`.
    * `Fetcher.close`: cancel the fetching task until it ends. aiokafka cancels it once; while it
      drops the fetches of an assignment that was replaced, it does not notice. See `closing`.

    What only the worker's transactional producers need is set on those objects, in
    `dedup.streaming.producerclient`.
    """
    fetcher.MemoryRecords = KeptRecords
    fetcher.PartitionRecords = AnyKeyPartitionRecords
    for missing in MISSING_ERRORS:
        kafka_errors.setdefault(missing.errno, missing)
    sender.BACKOFF_OVERRIDE = NEXT_TRANSACTION_S
    if not hasattr(AIOKafkaClient._get_conn, "__wrapped__"):  # noqa: SLF001 - see above
        AIOKafkaClient._get_conn = pausing(AIOKafkaClient._get_conn)  # noqa: SLF001
        AIOKafkaClient._metadata_update = asking(AIOKafkaClient._metadata_update)  # noqa: SLF001
        AIOKafkaClient.bootstrap = listing(AIOKafkaClient.bootstrap)
        client.create_conn = bounded(client.create_conn)
        AIOKafkaConnection.send = giving_up(AIOKafkaConnection.send)
        AIOKafkaConnection._handle_frame = noting(AIOKafkaConnection._handle_frame)  # noqa: SLF001
        fetcher.Fetcher._proc_offset_request = refreshing(  # noqa: SLF001
            fetcher.Fetcher._proc_offset_request  # noqa: SLF001
        )
        fetcher.Fetcher.close = ending(fetcher.Fetcher.close)
