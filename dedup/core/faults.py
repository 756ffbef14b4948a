"""What is wrong with an event, for people: the fields at fault, without their values."""

from pydantic import ValidationError

from dedup.core.dead_letter import DeadLetter, Reason

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
    return DeadLetter(Reason.INVALID_EVENT, message if hint is None else f"{message}. {hint}")
