"""Products as tests look at them: the codec of PRODUCT, and events and rows by field names."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from dedup.core.batch_result import RowFormat
from dedup.core.codec import UnknownActions, Whole
from dedup.core.codecs import codec_for
from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import Rules
from dedup.core.normal_event import NormalEvent
from dedup.entities.product import PRODUCT

CODEC: Final = codec_for(PRODUCT)
ROW_FORMAT: Final = RowFormat(CODEC.keys.writer("json"))
ACTIONS: Final = ("created", "updated", "price_changed", "stock_updated", "deleted")
CONTENT_FIELDS: Final = ("product_name", "description", "price", "stock_quantity", "discount")
STATE_FIELDS: Final = (*CONTENT_FIELDS, "created_at", "updated_at")
ROW_FIELDS: Final = (
    *("product_id", *STATE_FIELDS, "last_event_id", "last_action", "last_event_timestamp"),
    *("last_old_price", "processing_time"),
)
DEFAULTS: Final[Mapping[str, Any]] = {
    "description": None,
    "stock_quantity": 0,
    "discount": "0.00",
    "created_at": None,
    "updated_at": None,
}


class ProductEvent(NamedTuple):
    """What a readable record says; `product` has the fields that the event gives."""

    product_id: int
    action: str
    event_time: int | None
    timestamp: str | None
    event_id: str | None
    product: dict[str, Any]
    complete: bool
    old_price: str | None


def rules(
    content: Sequence[str] | None = None,
    unknown_actions: UnknownActions = "update",
    **others: Any,
) -> Rules:
    """Return rules for products; the defaults of `Rules` for what is not given."""
    chosen = None if content is None else tuple(content)
    return Rules(codec=codec_for(PRODUCT, chosen, "drop", unknown_actions), **others)


def seen(read: NormalEvent | DeadLetter) -> ProductEvent:
    """Return what an event says, by name. Raises TypeError for a dead letter."""
    if isinstance(read, DeadLetter) or not isinstance(read.id, int):
        raise TypeError(read)
    event_id, action, timestamp, old_price = read.provenance or (None, "deleted", None, None)
    return ProductEvent(
        read.id,
        action,
        read.time,
        timestamp,
        event_id,
        by_field(read.values),
        UNSET not in read.values,
        old_price,
    )


def read_product_event(key: bytes | None, value: bytes | None) -> ProductEvent | DeadLetter:
    """Read a record to what it says by name, or to its dead letter."""
    read = CODEC.read(key, value)
    return read if isinstance(read, DeadLetter) else seen(read)


def read_product(row: bytes) -> dict[str, Any] | None:
    """Read a row to the fields of its product; None when it is no row of a product."""
    read = CODEC.read_row(row)
    return None if read is None else {"product_id": read.values[0], **by_field(read.values)}


def by_field(values: Sequence[Any]) -> dict[str, Any]:
    """Return values of `STATE_FIELDS` by their names, without those that are UNSET."""
    named = zip(STATE_FIELDS, values[1:], strict=True)
    return {name: value for name, value in named if value is not UNSET}


def fingerprint(product: Mapping[str, Any], content: Sequence[str] | None = None) -> bytes:
    """Return the fingerprint of a product's fields, over the defaults."""
    codec = rules(content).codec
    values = {**DEFAULTS, **product}
    return codec.fingerprint(codec.canonical((1, *(values[name] for name in STATE_FIELDS)), {}))


def recognised(key: bytes, value: bytes) -> tuple[Any, ...] | None:
    """Return what the fast path says of a record; None when it leaves it to pydantic."""
    return CODEC.recognise(key, value, PROCESSING_TIME)


def judged_by_pydantic(key: bytes, value: bytes) -> tuple[Any, ...] | None:
    """Return what pydantic says of a record, in the form of `recognised`; None: not a whole row."""
    read = CODEC.read(key, value)
    if isinstance(read, DeadLetter):
        return None
    whole = CODEC.whole(read, None)
    if not isinstance(whole, Whole):
        return None
    return read.id, read.time, whole.canonical, CODEC.row(read, whole, PROCESSING_TIME)


PROCESSING_TIME: Final = "2025-11-24T16:00:00.123000Z"
