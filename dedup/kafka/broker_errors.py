"""What an error of the brokers means for an operator, and the cure."""

from typing import Final

from aiokafka import errors
from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from dedup.kafka.settings import KafkaSettings
from dedup.settings import Settings


class GroupMaxSizeReachedError(BrokerResponseError):  # type: ignore[misc] # aiokafka is untyped
    """The group has as many members as the brokers allow."""

    errno = 81
    message = "GROUP_MAX_SIZE_REACHED"


class FencedInstanceIdError(BrokerResponseError):  # type: ignore[misc]
    """Another member has the same group.instance.id."""

    errno = 82
    message = "FENCED_INSTANCE_ID"


class InvalidRecordError(BrokerResponseError):  # type: ignore[misc]
    """The topic rejects the record, as a compacted topic does one without a key."""

    errno = 87
    message = "INVALID_RECORD"


MISSING_ERRORS: Final = (GroupMaxSizeReachedError, FencedInstanceIdError, InvalidRecordError)
"""Answers that aiokafka has no class for; `client.adjust_aiokafka` registers them."""

_REFUSED_FOR_GOOD: Final = (
    *MISSING_ERRORS,
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.ClusterAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.GroupIdNotFound,
    errors.IllegalSaslStateError,
    errors.IncompatibleBrokerVersion,
    errors.InconsistentGroupProtocolError,
    errors.InvalidConfigurationError,
    errors.InvalidGroupIdError,
    errors.InvalidPartitionsError,
    errors.InvalidReplicationFactorError,
    errors.InvalidRequiredAcksError,
    errors.InvalidSessionTimeoutError,
    errors.InvalidTimestampError,
    errors.InvalidTopicError,
    errors.InvalidTransactionTimeout,
    errors.KafkaConfigurationError,
    errors.MessageSizeTooLargeError,
    errors.PolicyViolationError,
    errors.RecordListTooLargeError,
    errors.SaslAuthenticationFailed,
    errors.SecurityDisabled,
    errors.TopicAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
    errors.UnrecognizedBrokerVersion,
    errors.UnsupportedCodecError,
    errors.UnsupportedForMessageFormatError,
    errors.UnsupportedSaslMechanismError,
    errors.UnsupportedVersionError,
)
"""Errors that last until somebody changes a permission or a setting."""


def root_cause(error: KafkaError) -> KafkaError:
    """Return the brokers' error that an error comes from.

    aiokafka raises a general error from the specific one, or only quotes its text.
    """
    while isinstance(error.__cause__, KafkaError):
        error = error.__cause__
    return error


_NO_OUTAGE: Final = (
    errors.NotEnoughReplicasError,
    errors.NotEnoughReplicasAfterAppendError,
    errors.UnknownTopicOrPartitionError,
)
"""Errors that a retry may cure, and that the operator has to know of."""

_OTHER_VERSION: Final = (
    "the brokers do not speak a version of the protocol that this client knows. Use brokers of "
    "Kafka 2.3 or newer."
)
_GROUP_CURES: Final = {
    "InconsistentGroupProtocolError": (
        "it has other members, such as a plain consumer, a share consumer or one with "
        "group.protocol=consumer. Stop them, or set {setting} to a name of its own."
    ),
    "GroupIdNotFound": (
        "it is a group of another type, such as a share group. Set {setting} to a name of its own."
    ),
    "InvalidGroupIdError": "the brokers do not accept that name. Set {setting} to another.",
    "InvalidSessionTimeoutError": (
        "the brokers do not accept a session timeout of 10 s. Set group.min.session.timeout.ms to "
        "at most and group.max.session.timeout.ms to at least 10000 on the brokers."
    ),
    "GroupMaxSizeReachedError": (
        "it has as many members as group.max.size of the brokers allows. Raise that, or stop a "
        "member."
    ),
    "FencedInstanceIdError": "another member has the same group.instance.id. Stop one of the two.",
    "UnsupportedVersionError": _OTHER_VERSION,
    "IncompatibleBrokerVersion": _OTHER_VERSION,
}
"""What the final refusals of a group mean, and the cure."""


def brokers_away(error: KafkaError) -> bool:
    """Return whether a retry may help: brokers are unavailable, restart, or move partitions.

    It may also help with an error code that the client has no name for; retries are bounded.
    """
    return not isinstance(root_cause(error), _REFUSED_FOR_GOOD)


def is_outage(kind: type) -> bool:
    """Return whether errors of this class mean brokers that are unreachable or can't serve for now.

    An outage is logged once for the process: see `dedup.observability.outages`.
    """
    if issubclass(kind, _NO_OUTAGE) or not issubclass(kind, KafkaError):
        return False
    lost = issubclass(kind, errors.KafkaConnectionError | errors.KafkaTimeoutError)
    return lost or bool(getattr(kind, "retriable", False))


def refusal(error: KafkaError, settings: KafkaSettings, *, permission: str) -> str:
    """Return which permission is missing or which limit is exceeded, and the cure.

    `permission` is the operation on a topic that was tried: READ, WRITE, DESCRIBE or CREATE.
    """
    if isinstance(error, TopicAuthorizationFailedError):
        topics = _topics(error) or settings.topics_with(permission)
        return _denied(
            settings, permission, f"the topic {' or '.join(topics)}", f"--topic {topics[0]}"
        )
    if isinstance(settings, Settings) and refused_by_group(error):
        return _by_group(error, settings)
    if isinstance(error, TransactionalIdAuthorizationFailed):
        prefix = f"{settings.client_id}-"
        option = f"--transactional-id {prefix} --resource-pattern-type prefixed"
        return _denied(settings, "WRITE", f"the transactional ids {prefix}*", option)
    if isinstance(error, ClusterAuthorizationFailedError):
        return _denied(settings, "IDEMPOTENT_WRITE", "the cluster", "--cluster")
    return _limit(error, " or ".join(settings.topics_with("WRITE")))


def _limit(error: KafkaError, topics: str) -> str:
    """Return which limit of the topics that are written a record exceeds."""
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return (
            f"A record is larger than max.message.bytes of {topics}, which was lowered after the "
            "worker started. Raise it, or restart the worker: it reads the limit at start, and a "
            "larger record then becomes a dead letter, truncated to what fits."
        )
    if isinstance(error, InvalidTimestampError):
        return (
            "The brokers do not accept the time of this machine's clock: it differs from theirs by "
            f"more than message.timestamp.before.max.ms or .after.max.ms of {topics}. Synchronize "
            "the clocks, or raise these settings."
        )
    return f"{error!r}."


def refused_by_group(error: BaseException) -> bool:
    """Return whether the group refuses a member for good: no retry helps."""
    return isinstance(error, GroupAuthorizationFailedError) or _group_refusal(error) is not None


def _by_group(error: KafkaError, settings: Settings) -> str:
    setting, group = settings.group_setting, settings.DEDUP_APP_ID
    name = _group_refusal(error)
    if name is None:
        return _denied(settings, "READ", f"the group {group}", f"--group {group}")
    cure = _GROUP_CURES[name].format(setting=setting)
    return f"the group {setting}={group} refuses this member: {cure}"


def _group_refusal(error: BaseException) -> str | None:
    """Return the name of the group's refusal.

    aiokafka raises some as they are, and others as a KafkaError whose text is the name.
    """
    said = f"{type(error).__name__} {error!r}"
    return next((name for name in _GROUP_CURES if name in said), None)


def _denied(settings: KafkaSettings, permission: str, on: str, option: str) -> str:
    user = settings.KAFKA_USER or "ANONYMOUS"
    return (
        f"the user {user} lacks the permission {permission} on {on}. Grant it: kafka-acls.sh --add "
        f"--allow-principal User:{user} --operation {permission} {option}"
    )


def _topics(error: KafkaError) -> list[str]:
    """Return the topics that an error names, if any."""
    names = error.args[0] if error.args else ()
    return [names] if isinstance(names, str) else sorted(map(str, names))
