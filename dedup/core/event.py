"""What an event is: the models of `products` records, their limits and normal forms.

`Product` and `ProductEvent` mirror the PostgreSQL table the events describe. The worker does not
build them for every record: `read.py` recognises the common form by a plain schema that shares the
types below and asks these models about everything else.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

from dedup.core.times import (
    EPOCH,
    MICROSECOND,
    in_utc,
    microseconds,
    plain_time,
    time_of_a_row,
    time_text,
)
from dedup.core.wire_forms import plain_decimal, plain_integer

__all__ = [
    "ACTIONS",
    "CONTENT_FIELDS",
    "EPOCH",
    "MICROSECOND",
    "REQUIRED_FIELDS",
    "STATE_FIELDS",
    "Action",
    "Event",
    "NormalProduct",
    "PartialProduct",
    "PartialProductEvent",
    "Price",
    "Product",
    "ProductEvent",
    "ProductId",
    "ProductName",
    "StockQuantity",
    "Text",
    "TimeOfRow",
    "UtcTime",
    "microseconds",
    "normal_product",
    "price_text",
    "time_text",
]

ACTIONS: Final = ("created", "updated", "price_changed", "stock_updated", "deleted")
"""Actions a producer of this project sends. A reader takes an unknown one as an update."""

Action = Literal["created", "updated", "price_changed", "stock_updated", "deleted"]

CONTENT_FIELDS: Final = ("product_name", "description", "price", "stock_quantity", "discount")
"""Fields that make up the state of a product, in the one order used everywhere."""

STATE_FIELDS: Final = (*CONTENT_FIELDS, "created_at", "updated_at")
"""Fields of a product that its row keeps; the times are never content."""

REQUIRED_FIELDS: Final = frozenset(("product_name", "price"))
"""Fields of a product that have no default."""

_CENT: Final = Decimal("0.01")


def price_text(value: Decimal) -> str:
    """Return the one text of a price: two places, no exponent, no negative zero."""
    return str(value.quantize(_CENT) + 0)


ProductId = Annotated[int, BeforeValidator(plain_integer), Field(ge=1, le=2**63 - 1)]
StockQuantity = Annotated[int, BeforeValidator(plain_integer), Field(ge=0, le=2**31 - 1)]
# PostgreSQL text can hold anything but NUL. The pattern also refuses lone surrogates, which have no
# form in UTF-8.
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
ProductName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
Price = Annotated[
    Decimal,
    BeforeValidator(plain_decimal),
    Field(ge=0, max_digits=10, decimal_places=2),
    PlainSerializer(price_text, return_type=str, when_used="json"),
]
UtcTime = Annotated[
    datetime,
    BeforeValidator(plain_time),
    AfterValidator(in_utc),
    PlainSerializer(time_text, return_type=str, when_used="json"),
]
# No decision depends on it, so the reader of plain events may leave it to msgspec.
TimeOfRow = Annotated[
    datetime,
    BeforeValidator(time_of_a_row),
    AfterValidator(in_utc),
    PlainSerializer(time_text, return_type=str, when_used="json"),
]


def _price_or_zero(value: object) -> object:
    return Decimal(0) if value is None else value


class Product(BaseModel):
    """A row of the products table: DECIMAL(10,2), VARCHAR(255), NOT NULL and the defaults."""

    model_config = ConfigDict(frozen=True)

    product_id: ProductId
    product_name: ProductName
    description: Text | None = None
    price: Price
    stock_quantity: StockQuantity = 0
    discount: Annotated[Price, BeforeValidator(_price_or_zero)] = Decimal(0)
    created_at: TimeOfRow | None = None
    updated_at: TimeOfRow | None = None


class PartialProduct(Product):
    """A product that may lack what it does not change; `model_fields_set` tells what is there."""

    product_name: ProductName = ""
    price: Price = Decimal(0)


class ProductEvent(BaseModel):
    """One change of one product, as a producer sends it. Unknown extra fields are ignored."""

    model_config = ConfigDict(frozen=True)

    event_id: Text
    action: Text
    timestamp: UtcTime
    processed: bool = False
    product: Product
    old_price: Price | None = None


class PartialProductEvent(ProductEvent):
    """An event whose product may lack fields: everything the worker can apply."""

    processed: Any = None  # says nothing about the product
    product: PartialProduct


class NormalProduct(msgspec.Struct, frozen=True, gc=False):
    """A product in normal form: prices as text with two places, times in UTC.

    A field that an event did not give is UNSET. The bounds hold where JSON is read into it.
    """

    product_id: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    product_name: Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType
    description: str | UnsetType | None
    price: str | UnsetType
    stock_quantity: Annotated[int, Meta(ge=0, le=2**31 - 1)] | UnsetType
    discount: str | UnsetType
    created_at: datetime | UnsetType | None
    updated_at: datetime | UnsetType | None

    @classmethod
    def unknown(cls, product_id: int) -> Self:
        """Return a product of which nothing is known but its id."""
        return cls(product_id, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, UNSET)

    @classmethod
    def default(cls, product_id: int) -> Self:
        """Return what the table's DEFAULTs make of a product; name and price are NOT NULL."""
        return cls(product_id, UNSET, None, UNSET, 0, "0.00", None, None)

    def given(self) -> dict[str, Any]:
        """Return the fields of the state that are there."""
        return {f: value for f in STATE_FIELDS if (value := getattr(self, f)) is not UNSET}


def normal_product(product: Product) -> NormalProduct:
    """Return the normal form of a product; fields that were not given to it are UNSET.

    A product that is no partial one has every field: what was not given has its default.
    """
    given = product.model_fields_set if isinstance(product, PartialProduct) else STATE_FIELDS
    normal: dict[str, Any] = {
        field: getattr(product, field) if field in given else UNSET for field in STATE_FIELDS
    }
    for field in ("price", "discount"):
        if field in given:
            normal[field] = price_text(normal[field])
    return NormalProduct(product.product_id, **normal)


class Event(msgspec.Struct, frozen=True, gc=False):
    """An event in normal form: what the decision looks at.

    `complete` says that no field of the product is UNSET. `event_time` is the timestamp in
    microseconds since the epoch, `timestamp` its text as `time_text` gives it. A delete by null
    value has nothing but the id and the action.
    """

    product_id: int
    action: str
    event_time: int | None
    timestamp: str | None
    event_id: str | None
    product: NormalProduct
    complete: bool
    old_price: str | None
