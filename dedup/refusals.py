"""What a broker's refusal means for whoever operates the worker: one sentence with the cure."""

from typing import Final

from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    IncompatibleBrokerVersion,
    InconsistentGroupProtocolError,
    InvalidConfigurationError,
    InvalidGroupIdError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidRequiredAcksError,
    InvalidSessionTimeoutError,
    InvalidTopicError,
    InvalidTransactionTimeout,
    KafkaConfigurationError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    SaslAuthenticationFailed,
    SecurityDisabled,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnrecognizedBrokerVersion,
    UnsupportedCodecError,
    UnsupportedForMessageFormatError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)

from dedup.settings import Settings

_REFUSED_FOR_GOOD: Final = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    IncompatibleBrokerVersion,
    InconsistentGroupProtocolError,
    InvalidConfigurationError,
    InvalidGroupIdError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidRequiredAcksError,
    InvalidSessionTimeoutError,
    InvalidTopicError,
    InvalidTransactionTimeout,
    KafkaConfigurationError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    SaslAuthenticationFailed,
    SecurityDisabled,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnrecognizedBrokerVersion,
    UnsupportedCodecError,
    UnsupportedForMessageFormatError,
    UnsupportedSaslMechanismError,
    UnsupportedVersionError,
)
"""Answers that stay the same until somebody changes a right or a setting."""


def root_cause(error: KafkaError) -> KafkaError:
    """Return the answer of the brokers that an error comes from.

    aiokafka raises a general error from the particular one, or puts only its text into it.
    """
    while isinstance(error.__cause__, KafkaError):
        error = error.__cause__
    return error


def brokers_away(error: KafkaError) -> bool:
    """Whether waiting may mend an error: brokers that are away, restart, or move partitions.

    So does an answer that the client has no name for; whoever waits gives up after a while.
    """
    return not isinstance(root_cause(error), _REFUSED_FOR_GOOD)


def refusal(error: KafkaError, settings: Settings, *, right: str) -> str:
    """Say which right or limit is in the way, and what to do.

    `right` is the operation on a topic that was tried: READ, WRITE, DESCRIBE or CREATE.
    """
    if isinstance(error, TopicAuthorizationFailedError):
        topics = _topics(error) or _touched(settings, right)
        return _denied(settings, right, f"the topic {' or '.join(topics)}", f"--topic {topics[0]}")
    if isinstance(error, GroupAuthorizationFailedError):
        group = settings.DEDUP_APP_ID
        return _denied(settings, "READ", f"the group {group}", f"--group {group}")
    if isinstance(error, TransactionalIdAuthorizationFailed):
        prefix = f"{settings.DEDUP_APP_ID}-"
        option = f"--transactional-id {prefix} --resource-pattern-type prefixed"
        return _denied(settings, "WRITE", f"the transactional ids {prefix}*", option)
    if isinstance(error, ClusterAuthorizationFailedError):
        return _denied(settings, "IDEMPOTENT_WRITE", "the cluster", "--cluster")
    if isinstance(error, MessageSizeTooLargeError):
        topics = _touched(settings, "WRITE")
        return f"A record is larger than max.message.bytes of {' or '.join(topics)}. Raise it."
    return f"{error!r}."


def _denied(settings: Settings, right: str, on: str, option: str) -> str:
    user = settings.KAFKA_USER or "ANONYMOUS"
    return (
        f"the user {user} lacks the right {right} on {on}. Grant it: kafka-acls.sh --add "
        f"--allow-principal User:{user} --operation {right} {option}"
    )


def _topics(error: KafkaError) -> list[str]:
    """Give the topics an error names, if it does."""
    names = error.args[0] if error.args else ()
    return [names] if isinstance(names, str) else sorted(map(str, names))


def _touched(settings: Settings, right: str) -> list[str]:
    """Give the topics on which the worker uses a right."""
    if right == "WRITE":
        return [settings.KAFKA_SRC_PRODUCTS_TOPIC, settings.KAFKA_DLQ_TOPIC]
    if right == "READ":
        return [settings.KAFKA_PRODUCT_TOPIC, settings.KAFKA_SRC_PRODUCTS_TOPIC]
    return [
        settings.KAFKA_PRODUCT_TOPIC,
        settings.KAFKA_SRC_PRODUCTS_TOPIC,
        settings.KAFKA_DLQ_TOPIC,
    ]
