"""What the publisher reads from and changes in the inside of its client."""

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from dedup.refusals import root_cause

METADATA_PAUSE_S: Final = 0.2
"""How long a producer waits that can't reach the broker it needs."""


def cause_of(producer: AIOKafkaProducer, error: Exception) -> KafkaError:
    """Return what ended the transaction; what its parts raise is often but a consequence."""
    for ended in (producer._sender.sender_task, producer._txn_manager.wait_for_transaction_end()):
        if ended is not None and ended.done() and not ended.cancelled():
            cause = ended.exception()
            if isinstance(cause, KafkaError):
                return root_cause(cause)
    return root_cause(error) if isinstance(error, KafkaError) else KafkaError(repr(error))


def pace_metadata(client: AIOKafkaClient) -> None:
    """Let a client that finds no broker pause before it asks again, where it would not."""
    update = client._metadata_update

    async def paced(*arguments: Any) -> bool:
        updated = bool(await update(*arguments))
        if not updated:
            await asyncio.sleep(METADATA_PAUSE_S)
        return updated

    client._metadata_update = paced
