"""What the publisher relies on inside of its client."""

from types import SimpleNamespace

from aiokafka.errors import ConcurrentTransactions
from aiokafka.producer.sender import AddPartitionsToTxnHandler
from aiokafka.structs import TopicPartition

from dedup.streaming.publisher import RETRY_BACKOFF_MS


def test_a_transaction_that_the_broker_is_not_ready_for_is_asked_for_again_after_5_ms() -> None:
    sender = SimpleNamespace(
        _retry_backoff=RETRY_BACKOFF_MS / 1000, _txn_manager=SimpleNamespace(txn_partitions=set())
    )
    handler = AddPartitionsToTxnHandler(sender, {TopicPartition("src_products", 0)})
    not_ready = SimpleNamespace(errors=[("src_products", [(0, ConcurrentTransactions.errno)])])

    assert handler.handle_response(not_ready) == 0.005
