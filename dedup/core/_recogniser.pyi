from collections.abc import Callable, Collection, Sequence
from typing import Any

class Column:
    def __init__(
        self,
        label: bytes,
        type_: type,
        name: str,
        test: Callable[[Any], object] | None,
        convert: Callable[[Any], Any] | None,
        absent: object,
        default: object,
        digits: tuple[int, int] | None,
        is_content: bool,
    ) -> None: ...

class Recogniser:
    def __init__(
        self,
        pure: Callable[..., Any],
        decode: Callable[[bytes], Any],
        columns: tuple[Column, ...],
        carried: tuple[Column, ...],
        labels: Sequence[bytes],
        type_: type,
        members: Sequence[str | None],
        read_time: Callable[[Any], Any],
        time_is_text: bool,
        names: Callable[[bytes, Any], bool],
        key_is_text: bool,
        deletes: Collection[str],
        known: Collection[str],
    ) -> None: ...
    def recognise(
        self, key: bytes | None, value: bytes | None, processing_time: str
    ) -> tuple[int | str, int, bytes, bytes] | None: ...
