"""An event of one row in normal form, whatever its envelope."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

from dedup.core.dead_letter import DeadLetter


class EventKind(StrEnum):
    """What an event does to the row of its id."""

    UPSERT = "upsert"
    """It describes the whole row."""

    PARTIAL = "partial"
    """It describes a part of the row; what is known completes it."""

    DELETE = "delete"


class NormalEvent(msgspec.Struct, frozen=True, gc=False):
    """An event: what the decision and the row need of it.

    `values` are those of the entity's fields, in their order, UNSET where the event lacks one.
    `lacks` names the required ones among these: without a known row nothing can complete them.
    `extra` are fields that the model does not name. `provenance` are the last fields of the row but
    the processing time. `time` is in microseconds since the epoch; a delete by null value has none.
    """

    id: int | str
    kind: EventKind
    time: int | None
    provenance: Sequence[Any]
    values: tuple[Any, ...]
    lacks: tuple[str, ...] = ()
    extra: dict[str, msgspec.Raw] = {}
    refusal: DeadLetter | None = None
    """The dead letter that it is where unknown actions are refused."""


Recognised = tuple[Any, int]
"""What the fast path read: a struct with the members of a whole row, all but the processing time
set and in normal form; and the event time in microseconds."""
