"""Connects a producer to the brokers, and creates the topic of events if it is missing."""

import asyncio
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from dedup.core.errors import ExplainedError
from dedup.kafka.client import adjust_aiokafka
from dedup.kafka.closing import close_producer
from dedup.kafka.connecting import connection_fault
from dedup.kafka.diagnosis import diagnose
from dedup.kafka.topics import ensure_source_topic
from producer.settings import ProducerSettings

CONNECT_WITHIN_S: Final = 10.0
"""How long topic and producer may take to be ready, once a broker answers."""

ACKNOWLEDGE_WITHIN_S: Final = 30.0
"""How long sending continues without any acknowledgement."""

CLOSE_WITHIN_S: Final = 2.0

_BATCH_BYTES: Final = 256 * 1024  # large enough that its overhead vanishes, small enough to flow


class ProducerError(ExplainedError):
    """The producer can't send; the text names the setting and the cure."""


async def open_producer(settings: ProducerSettings) -> AIOKafkaProducer:
    """Start an idempotent producer, after creating the topic if it is missing.

    Takes at most some seconds for each bootstrap server, and `CONNECT_WITHIN_S`. Raises
    ProducerError, TopicError, SettingsError.
    """
    if (fault := await connection_fault(settings)) is not None:
        raise ProducerError(fault.message)
    try:
        async with asyncio.timeout(CONNECT_WITHIN_S):
            await ensure_source_topic(settings)
            return await _start(settings)
    except (KafkaError, OSError) as error:  # TimeoutError is an OSError
        found = await diagnose(settings, settings.topics)
        raise ProducerError(found or _unusable(settings, error)) from error


def _unusable(settings: ProducerSettings, error: Exception) -> str:
    why = "no answer in time" if isinstance(error, TimeoutError) else repr(error)
    return (
        f"The brokers at KAFKA_BOOTSTRAP_SERVERS={settings.KAFKA_BOOTSTRAP_SERVERS} answer, but "
        f"{settings.KAFKA_PRODUCT_TOPIC} can't be written now ({why}). Try again; if that does not "
        "help, look at the brokers' logs."
    )


async def _start(settings: ProducerSettings) -> AIOKafkaProducer:
    adjust_aiokafka()
    producer = AIOKafkaProducer(
        **settings.kafka_client(),
        enable_idempotence=True,
        acks="all",
        max_batch_size=_BATCH_BYTES,
        request_timeout_ms=int(ACKNOWLEDGE_WITHIN_S * 1000),
    )
    try:
        await producer.start()
        await producer.partitions_for(settings.KAFKA_PRODUCT_TOPIC)
    except BaseException:
        await close_producer(producer, CLOSE_WITHIN_S)
        raise
    return producer
