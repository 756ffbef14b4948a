"""A real Apache Kafka broker inside this process's lifetime: `with LocalKafka() as kafka`."""

from dedup.localkafka.broker import LocalKafka
from dedup.localkafka.jars import LocalKafkaError

__all__ = ["LocalKafka", "LocalKafkaError"]
