"""Reading a record: key and value bytes to an `Event`, or to the `DeadLetter` that says why not.

Two readers that agree. Events that come in the plain form - every field there, prices as text with
two places, times in UTC - are recognised by one schema in compiled code, without building a model.
Everything else is judged by `PartialProductEvent`, which alone decides what is refused and says
why. A property test holds the two against each other.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from dedup.core.deadletter import DeadLetter, Reason
from dedup.core.document import read_json
from dedup.core.event import (
    REQUIRED_FIELDS,
    STATE_FIELDS,
    Event,
    NormalProduct,
    PartialProduct,
    PartialProductEvent,
    microseconds,
    price_text,
    time_text,
)

_PlainPrice = Annotated[str, StringConstraints(pattern=r"^(?:0|[1-9][0-9]{0,7})\.[0-9]{2}$")]
_PlainTime = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
        r"T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?(?:\+00:00|Z)$"
    ),
]


class _PlainProduct(TypedDict):
    product_id: Annotated[int, Field(strict=True, ge=1, le=2**63 - 1)]
    product_name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    description: str | None
    price: _PlainPrice
    stock_quantity: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
    discount: _PlainPrice
    created_at: _PlainTime
    updated_at: _PlainTime


class _PlainEvent(TypedDict):
    event_id: str
    action: str
    timestamp: _PlainTime
    product: _PlainProduct
    old_price: _PlainPrice | None


_plain_event: Final = TypeAdapter(_PlainEvent).validator.validate_json
_time: Final = datetime.fromisoformat
_LONGEST_TIME: Final = len("2023-12-01T10:30:00.123456+00:00")
_DELETED: Final = "deleted"
_NO_PRODUCT: Final[NormalProduct] = {}
_MAX_PRODUCT_ID: Final = 2**63 - 1
_MAX_ID_DIGITS: Final = 19


def read_event(key: bytes | None, value: bytes | None) -> Event | DeadLetter:
    """Read one record of `products`. Total: bad input is a value, never an exception.

    A null value with a product's key is a delete. It carries no event time of its own.
    """
    if key is None:
        return DeadLetter(Reason.KEY_MISSING, "The record has no key; the product_id is expected.")
    if value is None:
        return _read_null_value(key)
    event = _read_plain(value) or _read_any(value)
    if isinstance(event, Event) and key != b"%d" % event.product_id:
        shown = key[:40].decode("utf-8", "backslashreplace")
        return DeadLetter(
            Reason.KEY_MISMATCH,
            f"The record's key is {shown!r}, but its product_id is {event.product_id}.",
        )
    return event


def _read_null_value(key: bytes) -> Event | DeadLetter:
    if key.isdigit() and len(key) <= _MAX_ID_DIGITS and key[0] != ord("0"):
        product_id = int(key)
        if product_id <= _MAX_PRODUCT_ID:
            return Event(product_id, _DELETED, None, None, None, _NO_PRODUCT, False, None)
    shown = key[:40].decode("utf-8", "backslashreplace")
    return DeadLetter(
        Reason.KEY_MISMATCH, f"The value is null and the key {shown!r} is no product_id."
    )


def _utc_text(plain_time: str) -> str:
    """Rewrite a time of the plain form as `time_text` would."""
    if len(plain_time) == _LONGEST_TIME:
        return plain_time[:-6] + "Z"
    body = plain_time.removesuffix("Z").removesuffix("+00:00")
    return f"{body}Z" if "." in body else f"{body}.000000Z"


def _read_plain(value: bytes) -> Event | None:
    """Read an event in the plain form; None when it is not in that form."""
    if b"\\" in value and b"\\u0000" in value:  # one byte is found much faster than six
        return None
    try:
        event = _plain_event(value)
        product: dict[str, Any] = event["product"]
        timestamp = event["timestamp"]
        created_at = product["created_at"]
        updated_at = product["updated_at"]
        event_time = microseconds(_time(timestamp))
        _time(created_at)  # the pattern lets 30 February through
        _time(updated_at)
    except ValueError:  # pydantic's ValidationError is one
        return None
    product["created_at"] = _utc_text(created_at)
    product["updated_at"] = _utc_text(updated_at)
    return Event(
        product.pop("product_id"),
        event["action"],
        event_time,
        _utc_text(timestamp),
        event["event_id"],
        product,
        True,
        event["old_price"],
    )


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
        return DeadLetter(Reason.INVALID_EVENT, _sentence(error))


def _normal_form(event: PartialProductEvent) -> Event | DeadLetter:
    product = event.product
    given = product.model_fields_set - {"product_id"}
    complete = given.issuperset(STATE_FIELDS)
    if event.action == "created" and not given >= REQUIRED_FIELDS:
        missing = " and ".join(sorted(REQUIRED_FIELDS - given, reverse=True))
        return DeadLetter(Reason.INVALID_EVENT, f"product: a created event lacks {missing}.")
    return Event(
        product.product_id,
        event.action,
        microseconds(event.timestamp),
        time_text(event.timestamp),
        event.event_id,
        _normal_product(product, given),
        complete,
        None if event.old_price is None else price_text(event.old_price),
    )


def _normal_product(product: PartialProduct, given: set[str]) -> NormalProduct:
    normal: dict[str, str | int | None] = {}
    for field in given:
        value = getattr(product, field)
        if isinstance(value, Decimal):
            value = price_text(value)
        elif isinstance(value, datetime):
            value = time_text(value)
        normal[field] = value
    return normal


def _sentence(error: ValidationError) -> str:
    """Name the fields at fault and what is wrong with each, without repeating their values."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [f"{'.'.join(map(str, f['loc'])) or 'event'}: {f['msg']}" for f in faults[:5]]
    return "; ".join(shown) + ("" if len(faults) <= len(shown) else "; ...")
