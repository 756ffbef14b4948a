"""A record of the dead-letter topic, and what its headers say. Pure."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from dedup.core.dead_letter import (
    EXCEPTION_HEADER,
    TRUNCATED_HEADER,
    VALUE_SIZE_HEADER,
    AnyHeader,
    Header,
)
from dedup.core.decision import Position
from dedup.core.printable import printable
from dedup.core.times import EPOCH

_MAX_DIGITS: Final = 18
_ADDED: Final = ("__streams.errors.", "dedup.errors.")
_REPLAYED_HEADER: Final = "dedup.replayed.position"


def replayed_headers(letter: "DeadLetterRecord") -> list[Header]:
    """Return the headers of the record that marks a dead letter as re-submitted.

    It has neither key nor value, and the partition of the dead letter, so it is retained as long.
    """
    return [(_REPLAYED_HEADER, letter.position.encode())]


def replayed_position(headers: Sequence[AnyHeader]) -> Position | None:
    """Return the position of the dead letter that a record marks; None if it is not a mark."""
    found = dict(headers).get(_REPLAYED_HEADER) if len(headers) == 1 else None
    partition, _, offset = (found or b"").partition(b":")
    sane = partition.isdigit() and offset.isdigit() and len(found or b"") <= 2 * _MAX_DIGITS
    return Position(int(partition), int(offset)) if sane else None


@dataclass(frozen=True)
class DeadLetterRecord:
    """A record of the dead-letter topic. Records of other programs lack the worker's headers."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[AnyHeader, ...]
    replayed_ms: int | None = None
    """When it was last re-submitted, as far as the topic has been read."""

    @property
    def at(self) -> Position:
        """Its partition and offset."""
        return Position(self.partition, self.offset)

    @property
    def position(self) -> str:
        """Its position as `dedup dlq` takes it: PARTITION:OFFSET."""
        return f"{self.partition}:{self.offset}"

    @property
    def time(self) -> str:
        """When it was written, ISO 8601 in UTC."""
        return _time(self.timestamp_ms)

    @property
    def replayed(self) -> str | None:
        """When it was re-submitted, ISO 8601 in UTC; None if it was not, as far as is known."""
        return None if self.replayed_ms is None else _time(self.replayed_ms)

    @property
    def reason(self) -> str:
        """Why the event could not be applied; empty if the record does not say."""
        return self._text("dedup.errors.reason")

    @property
    def message(self) -> str:
        """The reason as text."""
        return self._text("__streams.errors.message")

    @property
    def source_topic(self) -> str:
        """The topic the event was read from."""
        return self._text("__streams.errors.topic")

    @property
    def source_partition(self) -> int | None:
        """The partition the event was read from."""
        return self._number("__streams.errors.partition")

    @property
    def source_offset(self) -> int | None:
        """The offset the event was read from."""
        return self._number("__streams.errors.offset")

    @property
    def original_headers(self) -> list[AnyHeader]:
        """The headers of the event: all before those that the worker appended.

        An event that is a dead letter for the second time may bring headers of the same names.
        """
        names = [name for name, _ in self.headers]
        appended = len(names)
        while appended and names[appended - 1].startswith(_ADDED):
            appended -= 1
            if names[appended] == EXCEPTION_HEADER:
                return list(self.headers[:appended])
        return list(self.headers)  # of another program: none is known to be the worker's

    @property
    def truncated(self) -> frozenset[str]:
        """The truncated parts of the event: key, value, headers."""
        return frozenset(filter(None, self._text(TRUNCATED_HEADER).split(",")))

    @property
    def value_size(self) -> int:
        """The size of the event's value in bytes, before it was truncated."""
        size = self._number(VALUE_SIZE_HEADER) if "value" in self.truncated else None
        return len(self.value or b"") if size is None else size

    def without_value(self) -> "DeadLetterRecord":
        """Return it without the value of the event, which may be large."""
        return replace(self, value=None)

    def summary(self) -> dict[str, Any]:
        """Return what `dedup dlq list --json` prints."""
        return {
            "partition": self.partition,
            "offset": self.offset,
            "reason": self.reason,
            "source": {
                "topic": self.source_topic,
                "partition": self.source_partition,
                "offset": self.source_offset,
            },
            "message": self.message,
            "time": self.time,
            "key": None if self.key is None else printable(self.key),
            "truncated": sorted(self.truncated),
            "replayed": self.replayed,
        }

    def details(self) -> dict[str, Any]:
        """Return what `dedup dlq show --json` prints: bytes as text and in base64 too."""
        return self.summary() | {
            "headers": [
                [printable(name.encode()), None if value is None else printable(value)]
                for name, value in self.headers
            ],
            "key_base64": _base64(self.key),
            "value": None if self.value is None else printable(self.value),
            "value_base64": _base64(self.value),
        }

    def _text(self, name: str) -> str:
        # From the worker's headers if there are any: the event may bring the same names.
        own = self.headers[len(self.original_headers) :] or self.headers
        found = [value for header, value in own if header == name]
        return printable(found[-1] or b"") if found else ""

    def _number(self, name: str) -> int | None:
        text = self._text(name)
        sane = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
        return int(text) if sane else None


def _time(timestamp_ms: int) -> str:
    try:
        moment = EPOCH + timedelta(milliseconds=timestamp_ms)
    except OverflowError:  # a producer may choose any time
        return f"{timestamp_ms} ms"
    return moment.isoformat(timespec="milliseconds")


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
