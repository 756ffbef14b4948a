"""What the publisher reads from and changes in the internals of its client."""

from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from dedup.kafka.broker_errors import root_cause


def cause_of(producer: AIOKafkaProducer, error: Exception) -> KafkaError:
    """Return what ended the transaction; what its parts raise is often only a consequence."""
    for ended in (producer._sender.sender_task, producer._txn_manager.wait_for_transaction_end()):
        if ended is not None and ended.done() and not ended.cancelled():
            cause = ended.exception()
            if isinstance(cause, KafkaError):
                return root_cause(cause)
    return root_cause(error) if isinstance(error, KafkaError) else KafkaError(repr(error))


def send_offsets_after_records(producer: AIOKafkaProducer) -> None:
    """Commit a transaction's offsets once its records are acknowledged, not at the same time.

    Brokers verify both with the transaction coordinator, which accepts one such request of a
    transaction at a time: the other one is refused (as NotEnoughReplicas or
    CoordinatorNotAvailable), logged and retried after a pause.
    """
    sender = producer._sender
    next_request = sender._maybe_do_transactional_request

    def one_at_a_time() -> Any:
        transaction, unsent = sender._txn_manager, sender._message_accumulator._batches
        adding = transaction.partitions_to_add() or transaction.consumer_group_to_add()
        if not adding and transaction.offsets_to_commit() and (sender._in_flight or unsent):
            return None  # the sender retries when a produce request has ended
        return next_request()

    sender._maybe_do_transactional_request = one_at_a_time
