"""Getting to a broker and to the topic, and saying in a sentence why that failed.

aiokafka logs why a connection failed and raises something general. So each broker is tried first
by a connection of its own, whose error is still the real one.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    IllegalSaslStateError,
    InvalidReplicationFactorError,
    KafkaConnectionError,
    KafkaError,
    NoError,
    SaslAuthenticationFailed,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest

from producer.settings import KafkaSettings, ProducerError

CONNECT_WITHIN: Final = 10.0
"""Seconds in which broker and topic must be ready."""

ACKNOWLEDGE_WITHIN: Final = 30.0
"""Seconds without any acknowledgement after which sending is given up."""

_TRY_WITHIN: Final = 4.0
_BATCH_BYTES: Final = 256 * 1024  # large enough that its overhead vanishes, small enough to flow

_SENTENCES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (
        (SaslAuthenticationFailed, AuthenticationFailedError),
        (
            "The broker at {broker} refused the user {kafka.KAFKA_USER}: check KAFKA_USER, "
            "KAFKA_PASSWORD and KAFKA_SASL_MECHANISM={kafka.KAFKA_SASL_MECHANISM}."
        ),
    ),
    (
        UnsupportedSaslMechanismError,
        (
            "The broker at {broker} does not accept "
            "KAFKA_SASL_MECHANISM={kafka.KAFKA_SASL_MECHANISM}: set one that it offers."
        ),
    ),
    (
        IllegalSaslStateError,
        (
            "The broker at {broker} authenticates nobody: set KAFKA_SECURITY_PROTOCOL, which is "
            "{kafka.KAFKA_SECURITY_PROTOCOL}, to PLAINTEXT or SSL."
        ),
    ),
    (
        ssl.SSLCertVerificationError,
        (
            "The certificate of the broker at {broker} is not trusted ({why}): set KAFKA_CERT to "
            "the file of its CA certificates."
        ),
    ),
    (
        ssl.SSLError,
        (
            "The broker at {broker} speaks no TLS ({why}), but KAFKA_SECURITY_PROTOCOL is "
            "{kafka.KAFKA_SECURITY_PROTOCOL}: set it to what the broker speaks."
        ),
    ),
    (
        socket.gaierror,
        (
            "The host of {broker} is unknown: check KAFKA_BOOTSTRAP_SERVERS, or run the producer "
            "where that name resolves."
        ),
    ),
    (
        (KafkaConnectionError, ConnectionResetError),
        (
            "The broker at {broker} closed the connection: check that it speaks Kafka with "
            "KAFKA_SECURITY_PROTOCOL={kafka.KAFKA_SECURITY_PROTOCOL}."
        ),
    ),
    (
        Exception,
        (
            "No broker can be reached at {broker} ({why}): start Kafka, or set "
            "KAFKA_BOOTSTRAP_SERVERS to where it runs."
        ),
    ),
)
"""What a failed connection means, the particular before the general."""


async def open_producer(kafka: KafkaSettings) -> AIOKafkaProducer:
    """Start an idempotent producer, after making sure that the topic is there.

    A missing topic is created. Raises ProducerError within `CONNECT_WITHIN` seconds.
    """
    arguments = kafka.client_arguments()
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            await _try_brokers(kafka, arguments)
            await _ensure_topic(kafka, arguments)
            return await _start(kafka, arguments)
    except (KafkaError, OSError) as error:  # TimeoutError is an OSError
        raise ProducerError(
            f"A broker at {kafka.KAFKA_BOOTSTRAP_SERVERS} answered, but the cluster can't be used "
            f"({_short(error)}): {_unusable_cure(kafka)}"
        ) from error


async def _start(kafka: KafkaSettings, arguments: dict[str, Any]) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(
        **arguments,
        enable_idempotence=True,
        acks="all",
        max_batch_size=_BATCH_BYTES,
        request_timeout_ms=int(ACKNOWLEDGE_WITHIN * 1000),
    )
    try:
        await producer.start()
        await producer.partitions_for(kafka.KAFKA_PRODUCT_TOPIC)
    except BaseException:
        await close_producer(producer)
        raise
    return producer


async def close_producer(producer: AIOKafkaProducer) -> None:
    """Close a producer in bounded time, whether its batches can still be delivered or not."""
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            await producer.stop()
            return
    # stop() waits for every batch, and an idempotent producer retries them for ever.
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            await producer._sender.close()  # noqa: SLF001 - there is no public way to give up
    await producer.client.close()


async def _try_brokers(kafka: KafkaSettings, arguments: dict[str, Any]) -> None:
    """Connect to one broker of the list, or raise a sentence on why the last one refused."""
    own = {name: value for name, value in arguments.items() if name != "bootstrap_servers"}
    sentence = ""
    for host, port, _ in collect_hosts(kafka.KAFKA_BOOTSTRAP_SERVERS, randomize=False):
        connection = AIOKafkaConnection(
            host, port, request_timeout_ms=int(_TRY_WITHIN * 1000), **own
        )
        try:
            await connection.connect()
        except OSError as error:
            sentence = connection_sentence(error, f"{host}:{port}", kafka)
        except KafkaError as error:  # refused by a broker that was reached
            sentence = connection_sentence(error, f"{host}:{port}", kafka)
            await asyncio.wait({connection.close()}, timeout=_TRY_WITHIN)
        else:
            try:
                answer = await connection.send(MetadataRequest([]))
            finally:
                await connection.close()
            advertised = [(each[1], each[2]) for each in answer.brokers]
            await _try_advertised((host, port), advertised, own)
            return
    raise ProducerError(sentence)


async def _try_advertised(
    answered: tuple[str, int], advertised: list[tuple[str, int]], arguments: dict[str, Any]
) -> None:
    """Connect to a broker where the one that answered says it is, or raise a sentence why not."""
    if not advertised or answered in advertised:
        return
    why = ""
    for host, port in advertised:
        connection = AIOKafkaConnection(
            host, port, request_timeout_ms=int(_TRY_WITHIN * 1000), **arguments
        )
        try:
            await connection.connect()
        except (OSError, KafkaError) as error:
            why = "its name is unknown" if isinstance(error, socket.gaierror) else _short(error)
            if isinstance(error, KafkaError):  # refused by a broker that was reached
                await asyncio.wait({connection.close()}, timeout=_TRY_WITHIN)
        else:
            await connection.close()
            return
    raise ProducerError(
        f"The broker {answered[0]}:{answered[1]} of KAFKA_BOOTSTRAP_SERVERS answered, but it "
        f"advertises the address {host}:{port}, and clients go on there: {why}. Set "
        "advertised.listeners of the broker to an address that this machine reaches, or make that "
        "one known here (DNS, /etc/hosts, the network)."
    )


def connection_sentence(error: Exception, broker: str, kafka: KafkaSettings) -> str:
    """Say why a broker could not be connected to: which setting to look at, and the cure."""
    sentence = next(text for kinds, text in _SENTENCES if isinstance(error, kinds))
    return sentence.format(broker=broker, kafka=kafka, why=_short(error))


def _unusable_cure(kafka: KafkaSettings) -> str:
    if kafka.KAFKA_USER is not None and not kafka.uses_sasl:
        return (
            f"KAFKA_USER is set, but KAFKA_SECURITY_PROTOCOL={kafka.KAFKA_SECURITY_PROTOCOL} sends "
            "no credentials; set it to SASL_SSL or SASL_PLAINTEXT."
        )
    return (
        f"check that KAFKA_SECURITY_PROTOCOL={kafka.KAFKA_SECURITY_PROTOCOL} is what it asks for, "
        "and run the producer where the addresses that the brokers advertise can be reached."
    )


async def _ensure_topic(kafka: KafkaSettings, arguments: dict[str, Any]) -> None:
    topic = kafka.KAFKA_PRODUCT_TOPIC
    admin = AIOKafkaAdminClient(**arguments)
    try:
        await admin.start()
        if topic in await admin.list_topics():
            return
        new = NewTopic(topic, kafka.DEDUP_PARTITIONS, kafka.DEDUP_REPLICATION_FACTOR)
        response = await admin.create_topics([new])
    finally:
        await admin.close()
    for _topic, code, *message in response.topic_errors:
        error = for_code(code)
        # Somebody else may have created it in the meantime.
        if error not in (NoError, TopicAlreadyExistsError):
            raise ProducerError(_creation_sentence(error, "".join(map(str, message)), kafka))


def _creation_sentence(error: type[KafkaError], message: str, kafka: KafkaSettings) -> str:
    failed = f"The topic KAFKA_PRODUCT_TOPIC={kafka.KAFKA_PRODUCT_TOPIC} can't be created"
    if error is InvalidReplicationFactorError:
        return (
            f"{failed} with DEDUP_REPLICATION_FACTOR={kafka.DEDUP_REPLICATION_FACTOR}: set it to "
            "the number of brokers at most."
        )
    if error in (TopicAuthorizationFailedError, ClusterAuthorizationFailedError):
        return (
            f"{failed} by the user {kafka.KAFKA_USER or 'ANONYMOUS'}, who has no right to: grant "
            "it, or have the topic created by somebody who has."
        )
    return f"{failed} ({message or error.__name__}): create it by hand, or name another."


def _short(error: Exception) -> str:
    """Name an error in a few words, without the library's own decoration."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
