"""Dead letters: events that can't be applied, the reason, and their headers."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol


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
    """An event that can't be applied: the reason, and a message that explains it."""

    reason: Reason
    message: str


Header = tuple[str, bytes]
AnyHeader = tuple[str, bytes | None]
"""A header as Kafka allows it: its value may be null."""

EXCEPTION_HEADER: Final = "__streams.errors.exception"
"""The first of the headers that the worker appends to those of the event."""

MESSAGE_HEADER: Final = "__streams.errors.message"
TRUNCATED_HEADER: Final = "dedup.errors.truncated"
"""The parts of the event that were truncated, comma-separated: key, value, headers.

The first bytes of a key or a value are kept, headers are dropped. Absent: nothing was truncated.
"""

VALUE_SIZE_HEADER: Final = "dedup.errors.value.size"
"""The size in bytes of the event's value, if it was truncated."""

SMALLEST_LIMIT_BYTES: Final = 1024
"""A topic must accept record batches of this size, which the headers of any record fit in."""

EXCERPT_BYTES: Final = 64 * 1024
"""The maximum size of a truncated value."""

_BATCH_BYTES: Final = 61 + 36
"""The maximum size of the header of a record batch and of the one record in it."""

_HEADER_BYTES: Final = 10
"""The maximum size of the lengths of a header's name and value."""


def dead_letter_headers(
    dead_letter: DeadLetter, *, topic: str, partition: int, offset: int
) -> list[Header]:
    """Return the headers added to a dead letter.

    The `__streams.errors.*` names and their text values are those of KIP-1034, so that tools for
    Kafka Streams can read our dead letters.
    """
    return [
        (EXCEPTION_HEADER, f"dedup.DeadLetter.{dead_letter.reason}".encode()),
        (MESSAGE_HEADER, dead_letter.message.encode("utf-8", "backslashreplace")),
        ("__streams.errors.topic", topic.encode()),
        ("__streams.errors.partition", b"%d" % partition),
        ("__streams.errors.offset", b"%d" % offset),
        ("dedup.errors.reason", dead_letter.reason.encode()),
    ]


class Record(Protocol):
    """A record to write."""

    @property
    def key(self) -> bytes | None: ...  # noqa: D102 - Kafka's words, as are those below
    @property
    def value(self) -> bytes | None: ...  # noqa: D102
    @property
    def headers(self) -> Sequence[AnyHeader]: ...  # noqa: D102


class LetterRecord(NamedTuple):
    """A dead letter as written: the event, possibly truncated, and its headers with ours."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[AnyHeader]


def fitting(
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[AnyHeader],
    added: Sequence[Header],
    limit: int,
) -> LetterRecord:
    """Return the dead letter of an event with these headers, followed by `added`.

    If it is larger than `limit` bytes as a record batch, its value is truncated and a header says
    so. Its key is truncated, and its headers are dropped, if they alone are too large. `limit` must
    be at least `SMALLEST_LIMIT_BYTES`.
    """
    whole = LetterRecord(key, value, [*headers, *added])
    if record_bytes(whole) <= limit:
        return whole
    added = [(name, _cut(text, limit // 4)) for name, text in added]
    truncation: list[Header] = [
        (TRUNCATED_HEADER, b"key,value,headers"),
        (VALUE_SIZE_HEADER, b"%d" % len(value or b"")),
    ]
    room = max(0, limit - record_bytes(LetterRecord(None, None, [*added, *truncation])))
    cut = []
    if key is not None and len(key) > room // 2:
        cut.append(b"key")
        key = key[: min(room // 2, EXCERPT_BYTES)]
    room -= len(key or b"")
    if _headers_bytes(headers) > room // 2:
        cut.append(b"headers")
        headers = []
    room -= _headers_bytes(headers)
    if value is not None and len(value) > room:
        cut.append(b"value")
        value = value[: min(room, EXCERPT_BYTES)]
    truncation = [(TRUNCATED_HEADER, b",".join(cut)), *(truncation[1:] if b"value" in cut else ())]
    return LetterRecord(key, value, [*headers, *added, *truncation])


def record_bytes(record: Record) -> int:
    """Return the size of a record batch that holds this record alone, rounded up."""
    fields = len(record.key or b"") + len(record.value or b"")
    return _BATCH_BYTES + fields + _headers_bytes(record.headers)


def _headers_bytes(headers: Sequence[AnyHeader]) -> int:
    return sum(
        len(name.encode("utf-8", "surrogatepass")) + len(value or b"") + _HEADER_BYTES
        for name, value in headers
    )


def _cut(text: bytes, most: int) -> bytes:
    """Return the first bytes of a text in UTF-8, without an incomplete character at the end."""
    return text if len(text) <= most else text[:most].decode("utf-8", "ignore").encode()
