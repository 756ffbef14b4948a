"""Dead letters: events that can't be applied, why, and the headers they travel with."""

from enum import StrEnum
from typing import Final, NamedTuple


class Reason(StrEnum):
    """Why an event could not be applied. The values are header texts and metric labels."""

    KEY_MISSING = "key_missing"
    KEY_MISMATCH = "key_mismatch"
    INVALID_JSON = "invalid_json"
    INVALID_EVENT = "invalid_event"
    PARTIAL_WITHOUT_STATE = "partial_without_state"
    UNKNOWN_ACTION = "unknown_action"
    ROW_TOO_LARGE = "row_too_large"


class DeadLetter(NamedTuple):
    """An event that can't be applied: the reason and one sentence for whoever reads the topic."""

    reason: Reason
    message: str


Header = tuple[str, bytes]

_EXCEPTION_HEADER: Final = "__streams.errors.exception"


def dead_letter_headers(
    dead_letter: DeadLetter, *, topic: str, partition: int, offset: int
) -> list[Header]:
    """Give the headers added to a dead letter.

    The `__streams.errors.*` names and their text values are those of KIP-1034, so that tools made
    for Kafka Streams read our dead letters too.
    """
    return [
        (_EXCEPTION_HEADER, f"dedup.DeadLetter.{dead_letter.reason}".encode()),
        ("__streams.errors.message", dead_letter.message.encode("utf-8", "backslashreplace")),
        ("__streams.errors.topic", topic.encode()),
        ("__streams.errors.partition", b"%d" % partition),
        ("__streams.errors.offset", b"%d" % offset),
        ("dedup.errors.reason", dead_letter.reason.encode()),
    ]
