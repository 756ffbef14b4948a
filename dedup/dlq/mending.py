"""How a dead letter is corrected before it is re-submitted. Pure."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import msgspec

from dedup.dlq.record import DeadLetterRecord
from dedup.dlq.topic import DlqError

_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True)
class Assignment:
    """A value for a place in the event, as `--set product.price=12.00` names it."""

    path: tuple[str, ...]
    value: Any

    @classmethod
    def read(cls, text: str) -> "Assignment":
        """Read PATH=VALUE: the value is JSON if it can be read as such, else text.

        Raises ValueError when there is no path.
        """
        path, equals, value = text.partition("=")
        names = tuple(path.removeprefix("$.").split("."))
        if not equals or not all(names):
            raise ValueError(text)
        try:
            return cls(names, _decode(value))
        except msgspec.DecodeError:
            return cls(names, value)

    def assign(self, document: Any) -> None:
        """Put the value into a document; objects that are missing on the way are made.

        Raises DlqError when the path leads through something that is no object and no list.
        """
        *way, last = self.path
        for name in way:
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
            raise DlqError(
                f"--set {'.'.join(self.path)}: the event has no object there, but "
                f"{type(document).__name__} {str(document)[:40]!r}."
            )
        return document

    def _index(self, name: str, document: Any) -> int:
        items = self._items(document)
        if not name.isascii() or not name.isdigit() or int(name) >= len(items):
            raise DlqError(f"--set {'.'.join(self.path)}: the list there has no item {name}.")
        return int(name)


@dataclass(frozen=True)
class Mending:
    """What is to be different from the event as it came. None: nothing is."""

    key: bytes | None = None
    value: bytes | None = None
    assignments: tuple[Assignment, ...] = ()

    @property
    def replaces(self) -> frozenset[str]:
        """What of a letter is not needed, for it is given: key, value."""
        given = {"key": self.key, "value": self.value}
        return frozenset(name for name, it in given.items() if it is not None)

    def apply(self, letter: DeadLetterRecord) -> tuple[bytes | None, bytes | None]:
        """Return the key and the value that are re-submitted.

        Raises DlqError when the event can't be changed so.
        """
        key = letter.key if self.key is None else self.key
        value = letter.value if self.value is None else self.value
        return key, self._assigned(value, letter.position) if self.assignments else value

    def _assigned(self, value: bytes | None, position: str) -> bytes:
        """Return the value with the assignments made; numbers elsewhere keep their digits."""
        try:
            document = _decode(value or b"")
            for assignment in self.assignments:
                assignment.assign(document)
            return _encode(document)
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            raise DlqError(
                f"The value of {position} is no JSON ({error}): --set can't change it. "
                "Give a whole value with --value FILE."
            ) from error
