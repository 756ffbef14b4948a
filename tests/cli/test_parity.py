"""`dedup parity` before it runs Flink; `make parity` runs the whole of it."""

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.cli.topics import Topics


async def test_a_temporary_topic_that_the_brokers_refuse_is_named_with_the_setting(
    kafka: str,
) -> None:
    topics = await Topics.made(kafka)
    done = {TopicPartition(topics.names.source, 0): 1}
    async with AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=topics.names.group, enable_auto_commit=False
    ) as consumer:
        consumer.assign(list(done))
        await consumer.commit(done)
    result = topics.invoke("parity", DEDUP_REPLICATION_FACTOR="3")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: Topic {topics.names.states}.parity-")
    assert "can't be created with 4 partitions and DEDUP_REPLICATION_FACTOR=3: " in result.stderr
    assert len(result.stderr.splitlines()) == 1
