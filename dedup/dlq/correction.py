"""Corrects the event of a dead letter before it is re-submitted. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from dedup.dlq.record import DeadLetterRecord
from dedup.kafka.topic_reader import ReadError

_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True)
class Assignment:
    """A value for a path in the event, as in `--set product.price=12.00`."""

    path: tuple[str, ...]
    value: Any

    @classmethod
    def read(cls, text: str) -> "Assignment":
        """Read PATH=VALUE: the value is JSON if it parses as JSON, else text.

        Raises ValueError if there is no path.
        """
        path, equals, value = text.partition("=")
        names = tuple(path.removeprefix("$.").split("."))
        if not equals or not all(names):
            raise ValueError(text)
        try:
            return cls(names, _decode(value))
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            return cls(names, value)

    def assign(self, document: Any) -> None:
        """Set the value in a document; missing objects on the path are created.

        Raises ReadError if the path crosses a value that is neither an object nor a list.
        """
        *parents, last = self.path
        for name in parents:
            if isinstance(document, dict):
                document = document.setdefault(name, {})
            else:
                document = self._items(document)[self._index(name, document)]
        if isinstance(document, dict):
            document[last] = self.value
        else:
            self._items(document)[self._index(last, document)] = self.value

    def _items(self, document: Any) -> list[Any]:
        if not isinstance(document, list):
            raise ReadError(
                f"--set {'.'.join(self.path)}: the event has no object there, but "
                f"{type(document).__name__} {str(document)[:40]!r}."
            )
        return document

    def _index(self, name: str, document: Any) -> int:
        items = self._items(document)
        if not name.isascii() or not name.isdigit() or int(name) >= len(items):
            raise ReadError(f"--set {'.'.join(self.path)}: the list there has no item {name}.")
        return int(name)


@dataclass(frozen=True)
class Correction:
    """The changes to an event before it is re-submitted; by default none."""

    key: bytes | None = None
    value: bytes | None = None
    assignments: tuple[Assignment, ...] = ()

    @property
    def replaces(self) -> frozenset[str]:
        """The parts of a dead letter that are given instead: key, value."""
        given = {"key": self.key, "value": self.value}
        return frozenset(name for name, it in given.items() if it is not None)

    def apply(self, letter: DeadLetterRecord) -> tuple[bytes | None, bytes | None]:
        """Return the key and the value to re-submit.

        Raises ReadError if the event can't be changed like this.
        """
        key = letter.key if self.key is None else self.key
        value = letter.value if self.value is None else self.value
        return key, self._assigned(value, letter.position) if self.assignments else value

    def _assigned(self, value: bytes | None, position: str) -> bytes:
        """Return the value with the assignments applied; other numbers keep their digits."""
        try:
            document = _decode(value or b"")
            for assignment in self.assignments:
                assignment.assign(document)
            return _encode(document)
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            raise ReadError(
                f"The value of {position} is not JSON ({error}): --set can't change it. "
                "Pass a complete value with --value FILE."
            ) from error
