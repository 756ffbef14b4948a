"""The products table of PostgreSQL, as Debezium's connector writes its changes.

`DEDUP_ENTITY=products:PRODUCT` in this directory.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BaseModel, Field

from dedup import Debezium, Entity, Epoch

Price = Annotated[Decimal, Field(ge=0, max_digits=10, decimal_places=2)]


class Product(BaseModel):
    """A row of the table.

    `Epoch("us")` is how events without a schema carry `timestamp(6)`. An event that has its schema
    says so itself.
    """

    product_id: Annotated[int, Field(ge=1)]
    product_name: Annotated[str, Field(min_length=1, max_length=255)]
    description: str | None = None
    price: Price
    stock_quantity: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
    discount: Price | None = None
    created_at: datetime | None = None
    updated_at: Annotated[datetime, Epoch("us")]


PRODUCT: Final = Entity(
    name="shop_product",
    model=Product,
    id="product_id",
    metadata=("created_at", "updated_at"),
    envelope=Debezium(),
)
