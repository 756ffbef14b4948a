"""Reading a record: key and value bytes to an `Event`, or to the `DeadLetter` that says why not.

Two readers that agree. Events that come in the plain form - every field there, prices as text with
two places, times in UTC - are recognised by a msgspec schema, several times faster than pydantic
validates them (ADR 11). Everything else is judged by `PartialProductEvent`, which alone decides
what is refused and says why. Property tests hold the two against each other.
"""

from typing import Final

import msgspec
from pydantic import ValidationError

from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.event import (
    REQUIRED_FIELDS,
    STATE_FIELDS,
    Event,
    NormalProduct,
    PartialProductEvent,
    microseconds,
    normal_product,
    price_text,
    time_text,
)
from dedup.core.faults import description
from dedup.core.plain import is_plain, is_plain_price
from dedup.core.strict_json import is_plain_text, read_json
from dedup.core.times import read_plain_instant


class _PlainEvent(msgspec.Struct, gc=False):
    event_id: str
    action: str
    timestamp: str
    product: NormalProduct
    old_price: str | None


_plain_event: Final = msgspec.json.Decoder(_PlainEvent).decode
_DELETED: Final = "deleted"
_MAX_PRODUCT_ID: Final = 2**63 - 1
_MAX_ID_DIGITS: Final = 19


def read_event(key: bytes | None, value: bytes | None) -> Event | DeadLetter:
    """Read one record of `products`. Total: bad input is a value, never an exception.

    A null value with a product's key is a delete. It carries no event time of its own.
    """
    return read_value(key, read_key(key), value)


def read_value(
    key: bytes | None, product_id: int | None, value: bytes | None
) -> Event | DeadLetter:
    """Read the value of a record whose key was read already, to a `product_id` by `read_key`."""
    if key is None:
        return DeadLetter(Reason.KEY_MISSING, "The record has no key; the product_id is expected.")
    if value is None:
        return _read_null_value(key, product_id)
    event = _read_plain(value) or _read_any(value)
    if isinstance(event, Event) and event.product_id != product_id:
        shown = key[:40].decode("utf-8", "backslashreplace")
        return DeadLetter(
            Reason.KEY_MISMATCH,
            f"The record's key is {shown!r}, but its product_id is {event.product_id}.",
        )
    return event


def read_key(key: bytes | None) -> int | None:
    """Read the product_id of a record's key; None when it is none."""
    if key and key.isdigit() and len(key) <= _MAX_ID_DIGITS and not key.startswith(b"0"):
        product_id = int(key)
        if product_id <= _MAX_PRODUCT_ID:
            return product_id
    return None


def _read_null_value(key: bytes, product_id: int | None) -> Event | DeadLetter:
    if product_id is not None:
        product = NormalProduct.unknown(product_id)
        return Event(product_id, _DELETED, None, None, None, product, False, None)
    shown = key[:40].decode("utf-8", "backslashreplace")
    return DeadLetter(
        Reason.KEY_MISMATCH, f"The value is null and the key {shown!r} is no product_id."
    )


def _read_plain(value: bytes) -> Event | None:
    """Read an event in the plain form; None when it is not in that form."""
    try:
        if not is_plain_text(value):
            return None
        plain = _plain_event(value)
        time = read_plain_instant(plain.timestamp)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    product, old_price = plain.product, plain.old_price
    if time is not None and is_plain(product) and (old_price is None or is_plain_price(old_price)):
        return Event(
            product.product_id,
            plain.action,
            time[0],
            time[1],
            plain.event_id,
            product,
            True,
            old_price,
        )
    return None


def _read_any(value: bytes) -> Event | DeadLetter:
    """Read an event in any accepted form, or say what is wrong with it."""
    try:
        document = read_json(value)
    except ValueError as error:
        return DeadLetter(Reason.INVALID_JSON, f"The value is not JSON in UTF-8: {error}")
    try:
        event = PartialProductEvent.model_validate(document)
        return _normal_form(event)
    except ValidationError as error:
        return DeadLetter(Reason.INVALID_EVENT, description(error))


def _normal_form(event: PartialProductEvent) -> Event | DeadLetter:
    given = event.product.model_fields_set
    if event.action == "created" and not given >= REQUIRED_FIELDS:
        missing = " and ".join(sorted(REQUIRED_FIELDS - given, reverse=True))
        return DeadLetter(Reason.INVALID_EVENT, f"product: a created event lacks {missing}.")
    product = normal_product(event.product)
    return Event(
        product.product_id,
        event.action,
        microseconds(event.timestamp),
        time_text(event.timestamp),
        event.event_id,
        product,
        given.issuperset(STATE_FIELDS),
        None if event.old_price is None else price_text(event.old_price),
    )
