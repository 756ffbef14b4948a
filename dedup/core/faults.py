"""What is wrong with an event, for people: the fields at fault, without their values."""

from pydantic import ValidationError

from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.entity import Entity
from dedup.core.field_hints import field_hint
from dedup.core.shapes import foreign_shape

_MOST_FAULTS = 5


def description(error: ValidationError, within: str | None = None) -> str:
    """Name the fields at fault and what is wrong with each, without repeating their values.

    `within` is the member of the event that was read alone.
    """
    head = () if within is None else (within,)
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [
        f"{'.'.join(map(str, (*head, *f['loc']))) or 'event'}: {f['msg']}"
        for f in faults[:_MOST_FAULTS]
    ]
    return "; ".join(shown) + ("" if len(faults) <= len(shown) else "; ...")


def invalid(message: str, hint: str | None = None) -> DeadLetter:
    """Return the dead letter of an event that does not fit its entity."""
    return DeadLetter(Reason.INVALID_EVENT, with_hint(message, hint))


def with_hint(message: str, hint: str | None) -> str:
    """Return a message with a hint after it, if there is one."""
    return message if hint is None else f"{message}{' ' if message.endswith('.') else '. '}{hint}"


def refused(
    error: ValidationError, document: object, entity: Entity, within: str | None = None
) -> DeadLetter:
    """Return the dead letter of an event that pydantic refused, with a hint if there is one.

    `within` is the member that was read alone.
    """
    hint = foreign_shape(document, entity) or field_hint(error, entity)
    return invalid(description(error, within), hint)
