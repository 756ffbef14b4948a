"""Rows and records of `src_products`: state to record, and record to state.

The row is a JSON object with the fields of `ROW_FIELDS`; decimals are text with two places, times
are text in UTC. Rows written by a Flink job are read too: numbers as decimals (`1E+1`), times
with a space and without a zone (then UTC).
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from pydantic import BeforeValidator

from dedup.core.event import (
    STATE_FIELDS,
    Event,
    NormalProduct,
    Price,
    Product,
    StockQuantity,
    UtcTime,
    normal_product,
    time_text,
)
from dedup.core.plain import is_plain, is_plain_price
from dedup.core.records import (
    EVENT_TIME_HEADER,
    FINGERPRINT_HEADER,
    LAST_TIMESTAMP_MS,
    SOURCE_HEADER,
    output_headers,
)
from dedup.core.strict_json import is_plain_text, read_json
from dedup.core.times import whole_second

__all__ = [
    "EVENT_TIME_HEADER",
    "FINGERPRINT_HEADER",
    "LAST_TIMESTAMP_MS",
    "ROW_FIELDS",
    "SOURCE_HEADER",
    "KeyFormat",
    "encode_row",
    "output_headers",
    "output_key",
    "read_output_key",
    "read_product",
    "readable_row",
    "row_event_id",
    "row_fields",
]

ROW_FIELDS: Final = (
    "product_id",
    *STATE_FIELDS,
    "last_event_id",
    "last_action",
    "last_event_timestamp",
    "last_old_price",
    "processing_time",
)

KeyFormat = Literal["json", "plain"]


def _zero_for_null(value: object) -> object:
    return 0 if value is None else value


class _ForeignRow(Product):
    """A row as anyone may have written it; a job may have passed on a null for an absent stock."""

    stock_quantity: Annotated[StockQuantity, BeforeValidator(_zero_for_null)] = 0
    last_event_timestamp: UtcTime | None = None
    last_old_price: Price | None = None


class _Row(msgspec.Struct, gc=False):
    """A row as it is written; the fields are `ROW_FIELDS`."""

    product_id: int
    product_name: Any
    description: Any
    price: Any
    stock_quantity: Any
    discount: Any
    created_at: datetime | msgspec.Raw | None
    updated_at: datetime | msgspec.Raw | None
    last_event_id: str | None
    last_action: str
    last_event_timestamp: str | None
    last_old_price: str | None
    processing_time: str


class _PlainRow(NormalProduct, frozen=True, gc=False):
    """What is read of a row in the plain form, as this project writes it."""

    last_event_timestamp: str | None
    last_old_price: str | None


_encode: Final = msgspec.json.Encoder().encode
_plain_row: Final = msgspec.json.Decoder(_PlainRow).decode
_decode: Final = msgspec.json.Decoder().decode


def encode_row(event: Event, product: NormalProduct, processing_time: str) -> bytes:
    """Return the row of a product after an event; `product` has every field of `STATE_FIELDS`."""
    return _encode(
        _Row(
            event.product_id,
            product.product_name,
            product.description,
            product.price,
            product.stock_quantity,
            product.discount,
            _in_row(product.created_at),
            _in_row(product.updated_at),
            event.event_id,
            event.action,
            event.timestamp,
            event.old_price,
            processing_time,
        )
    )


def _in_row(time: Any) -> Any:
    """Return what msgspec writes as `time_text` would: it leaves a fraction of zero out."""
    return time if time is None or time.microsecond else whole_second(time)


def read_product(row: bytes) -> NormalProduct | None:
    """Read the product of a row in normal form; None when the row can't be read."""
    return _read_plain(row) or _read_any(row)


def _read_plain(row: bytes) -> NormalProduct | None:
    """Read the product of a row in the plain form; None when it is not in that form."""
    try:
        if not is_plain_text(row):
            return None
        plain = _plain_row(row)
        last, old_price = plain.last_event_timestamp, plain.last_old_price
        if last is not None and last != time_text(datetime.fromisoformat(last)):
            return None
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    if not is_plain(plain) or not (old_price is None or is_plain_price(old_price)):
        return None
    return NormalProduct(
        plain.product_id,
        plain.product_name,
        plain.description,
        plain.price,
        plain.stock_quantity,
        plain.discount,
        plain.created_at,
        plain.updated_at,
    )


def _read_any(row: bytes) -> NormalProduct | None:
    """Read the product of a row in any accepted form."""
    foreign = _read_foreign(row)
    return None if foreign is None else normal_product(foreign)


def readable_row(row: bytes) -> dict[str, Any] | None:
    """Return the fields of a row as they stand there; None when it is no row of a product.

    Of fields that are not ours, those with a plain value are returned.
    """
    fields = row_fields(row)
    if not fields or read_product(row) is None:
        return None
    return {n: v for n, v in fields.items() if not isinstance(v, (dict, list))}


def row_fields(row: bytes) -> dict[str, Any]:
    """Return the fields of a row; none when another program wrote what is not a JSON object."""
    try:
        document = _decode(row)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return {}
    return document if isinstance(document, dict) else {}


def row_event_id(row: bytes) -> str | None:
    """Return the id of the event that a row names as its last; None when it names none."""
    found = row_fields(row).get("last_event_id")
    return found if isinstance(found, str) else None


def output_key(product_id: int, key_format: KeyFormat) -> bytes:
    """Return the record key: Flink's upsert-kafka text with key.format=json, or the id."""
    return b'{"product_id":%d}' % product_id if key_format == "json" else b"%d" % product_id


def read_output_key(key: bytes | None) -> int | None:
    """Read the product_id of a record key in either format; None when it is none."""
    try:
        document = _decode(key or b"")
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    if isinstance(document, dict):
        document = document.get("product_id")
    if isinstance(document, int) and not isinstance(document, bool) and 0 < document < 2**63:
        return document
    return None


def _read_foreign(row: bytes) -> _ForeignRow | None:
    try:
        return _ForeignRow.model_validate(read_json(row))
    except ValueError:  # pydantic's ValidationError is one
        return None
