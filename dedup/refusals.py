"""What a broker's refusal means for whoever operates the worker: one sentence with the cure."""

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTimestampError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from dedup.settings import Settings


def brokers_away(error: KafkaError) -> bool:
    """Whether an error says that the brokers can't be reached now: waiting may mend it."""
    return error.retriable or isinstance(error, KafkaConnectionError | KafkaTimeoutError)


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
    return _not_taken(error, " or ".join(_touched(settings, "WRITE")))


def _not_taken(error: KafkaError, topics: str) -> str:
    """Say which limit of the topics that the worker writes a record has met."""
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return (
            f"A record is larger than max.message.bytes of {topics}, which was lowered since the "
            "worker started. Raise it, or start the worker again: it reads the limit then, and "
            "what is larger becomes a dead letter, of which what fits is kept."
        )
    if isinstance(error, InvalidTimestampError):
        return (
            "The brokers do not accept the time of this machine's clock: it differs from theirs by "
            f"more than message.timestamp.before.max.ms or .after.max.ms of {topics}. Set the "
            "clocks right, or raise these settings."
        )
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
