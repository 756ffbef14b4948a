"""What the producer sends: events that describe rows of a PostgreSQL table, and their limits."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)

from dedup.core.times import in_utc, plain_time, time_of_a_row, time_text
from dedup.core.wire_forms import plain_decimal, plain_integer

ACTIONS: Final = ("created", "updated", "price_changed", "stock_updated", "deleted")
"""What an event does to a product."""

Action = Literal["created", "updated", "price_changed", "stock_updated", "deleted"]

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
