"""Products: the entity of the `products` topic, and the default."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BaseModel, Field

from dedup.core.annotations import NullAsDefault
from dedup.core.entity import Entity, Wrapped

_Price = Annotated[Decimal, Field(ge=0, max_digits=10, decimal_places=2)]


class Product(BaseModel):
    """A row of the products table: DECIMAL(10,2), VARCHAR(255), NOT NULL and the defaults."""

    product_id: Annotated[int, Field(ge=1)]
    product_name: Annotated[str, Field(min_length=1, max_length=255)]
    description: str | None = None
    price: _Price
    stock_quantity: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    discount: Annotated[_Price, NullAsDefault()] = Decimal(0)
    created_at: datetime | None = None
    updated_at: datetime | None = None


PRODUCT: Final = Entity(
    name="product",
    model=Product,
    id="product_id",
    metadata=("created_at", "updated_at"),
    envelope=Wrapped(
        payload="product",
        time="timestamp",
        event_id="event_id",
        action="action",
        creates=("created",),
        deletes=("deleted",),
        actions=("created", "updated", "price_changed", "stock_updated", "deleted"),
        carries=("old_price",),
    ),
)
