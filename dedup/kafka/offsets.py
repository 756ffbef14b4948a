"""Where the known states end: the offsets of `products` up to which `src_products` tells them."""

from aiokafka import TopicPartition

from dedup.kafka.consumer import committed_consumer
from dedup.kafka.topic_reader import open_topic
from dedup.settings import Settings


async def committed_offsets(settings: Settings, partitions: int) -> dict[int, int]:
    """Return what the group DEDUP_APP_ID has committed; partitions without it are left out.

    Joins no group. Raises KafkaError.
    """
    found: dict[int, int] = {}
    async with committed_consumer(settings, group_id=settings.DEDUP_APP_ID) as consumer:
        for partition in range(partitions):
            tp = TopicPartition(settings.KAFKA_PRODUCT_TOPIC, partition)
            offset = await consumer.committed(tp)
            if offset is not None:
                found[partition] = offset
    return found


async def positions_of_states(settings: Settings) -> dict[int, int]:
    """Return for each partition the offset from which on events are not in the known states.

    That is what the worker's group has committed. Of a job whose offsets are unknown, such as
    Flink's, it is the end of the topic now; with no states at all, its beginning. Read the states
    after this: they then hold at least what came before it. Raises ReadError.
    """
    source, states = settings.KAFKA_PRODUCT_TOPIC, settings.KAFKA_SRC_PRODUCTS_TOPIC
    async with open_topic(settings, states, "KAFKA_SRC_PRODUCTS_TOPIC") as output:
        has_states = any(output.spans.values())
    async with open_topic(settings, source, "KAFKA_PRODUCT_TOPIC") as events:
        spans = events.spans
        committed = await committed_offsets(settings, len(spans))
    at_end = has_states and not committed
    return {
        partition: span.stop
        if at_end
        else min(span.stop, max(span.start, committed.get(partition, span.start)))
        for partition, span in spans.items()
    }
