"""Where an event has its row, its time and its action: what the recognisers go by."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from dedup.core.payload import PlainPayload


@dataclass(frozen=True)
class Layout:
    """The members of an event, by their names in the type that msgspec decodes it to.

    `payload` is None where the event is the row; `time` is then a field of it. `read_time` returns
    the microseconds of an event's time and what a row has of it; None when it is not plain. `known`
    are the actions that are taken, if only some are; `deletes` never are.
    """

    type: Any
    fields: PlainPayload
    payload: str | None
    time: str
    time_is_text: bool
    read_time: Callable[[Any], tuple[int, Any] | None]
    event_id: str | None = None
    action: str | None = None
    carried: PlainPayload | None = None
    deletes: Collection[str] = ()
    known: Collection[str] = ()
