"""Orders: a flat row with a text id. `DEDUP_ENTITY=orders:ORDER` in this directory."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from dedup import Entity, Epoch, Flat


class Order(BaseModel):
    """An order, as the topic carries it. What does not fit is a dead letter."""

    order_id: Annotated[str, Field(min_length=1, max_length=64)]
    status: Literal["open", "paid", "sent", "returned"]
    total: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)]
    is_gift: bool = False
    note: str | None = None
    items: list[Any]
    updated_at: Annotated[datetime, Epoch("ms")]


ORDER: Final = Entity(
    name="order",
    model=Order,
    id="order_id",
    metadata=("updated_at",),
    envelope=Flat(time="updated_at"),
)
