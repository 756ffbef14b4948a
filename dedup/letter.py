"""A dead letter as it stands on the topic, and what its headers say. Pure."""

import base64
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from dedup.core.deadletter import Header
from dedup.core.event import EPOCH

_MAX_DIGITS: Final = 18
_ADDED: Final = ("__streams.", "dedup.")


@dataclass(frozen=True)
class Letter:
    """A record of the dead-letter topic. Records of strangers lack our headers."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]

    @property
    def position(self) -> str:
        """Where it stands, as `dedup dlq` takes it: PARTITION:OFFSET."""
        return f"{self.partition}:{self.offset}"

    @property
    def time(self) -> str:
        """When it was put there, ISO 8601 in UTC."""
        try:
            moment = EPOCH + timedelta(milliseconds=self.timestamp_ms)
        except OverflowError:  # whoever writes a record chooses its time
            return f"{self.timestamp_ms} ms"
        return moment.isoformat(timespec="milliseconds")

    @property
    def reason(self) -> str:
        """Why the event could not be applied; empty when it does not say."""
        return self._text("dedup.errors.reason")

    @property
    def message(self) -> str:
        """The reason in a sentence."""
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
    def original_headers(self) -> list[Header]:
        """The headers the event came with, without those of dead letters."""
        return [(name, value) for name, value in self.headers if not name.startswith(_ADDED)]

    def without_value(self) -> "Letter":
        """Give it without the bytes of the event, which may be many."""
        return replace(self, value=None)

    def summary(self) -> dict[str, Any]:
        """Give what `dedup dlq list --json` prints of it."""
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
        }

    def details(self) -> dict[str, Any]:
        """Give what `dedup dlq show --json` prints of it: the bytes too, text where they are."""
        return self.summary() | {
            "headers": [[name, printable(value)] for name, value in self.headers],
            "key_base64": _base64(self.key),
            "value": None if self.value is None else printable(self.value),
            "value_base64": _base64(self.value),
        }

    def _text(self, name: str) -> str:
        # The last one: the event may have come with a header of that name, ours stands after it.
        found = [value for header, value in self.headers if header == name]
        return printable(found[-1]) if found else ""

    def _number(self, name: str) -> int | None:
        text = self._text(name)
        sane = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
        return int(text) if sane else None


def printable(data: bytes | None) -> str:
    r"""Give bytes as text that does nothing to a terminal: what can't be shown stands as `\x1b`.

    Kafka allows null as the value of a header; it is empty here.
    """
    text = (data or b"").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
