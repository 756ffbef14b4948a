"""The catalogue of the products that events are about.

The first eight are the demo's; any further ones are derived from their id alone, so that two
catalogues of different sizes agree wherever both have a product.
"""

from decimal import Decimal
from typing import Final, NamedTuple

from producer.models import Product

_DEMO: Final = (
    ("Laptop Pro", "High-performance laptop for professionals", 129999, 25, 0),
    ("Wireless Headphones", "Over-ear headphones that cancel noise", 19999, 80, 2000),
    ("Coffee Maker", "Drip coffee maker for twelve cups", 8999, 40, 0),
    ("Running Shoes", "Light shoes for roads and tracks", 12999, 120, 1300),
    ("Smartphone", "Phone with a bright screen and two cameras", 69999, 60, 0),
    ("Desk Chair", "Chair that adjusts to every back", 24999, 35, 2500),
    ("Water Bottle", "Steel bottle that keeps drinks cold for a day", 2499, 200, 0),
    ("Tablet", "Ten-inch tablet for reading and drawing", 44999, 50, 4500),
)
_QUALITIES: Final = ("Compact", "Classic", "Quiet", "Solid", "Foldable", "Smart", "Light")
_THINGS: Final = ("Lamp", "Backpack", "Kettle", "Monitor", "Keyboard", "Jacket", "Blender", "Tent")
_SPREAD: Final = 2_654_435_761  # Knuth's multiplicative hash: neighbouring ids differ in everything


class Item(NamedTuple):
    """One product of the catalogue, money in cents."""

    product_id: int
    product_name: str
    description: str
    price_cents: int
    stock_quantity: int
    discount_cents: int


def catalog(size: int) -> tuple[Product, ...]:
    """Return the products 1 to `size`; always the same ones."""
    return tuple(
        Product(
            product_id=item.product_id,
            product_name=item.product_name,
            description=item.description,
            price=Decimal(item.price_cents) / 100,
            stock_quantity=item.stock_quantity,
            discount=Decimal(item.discount_cents) / 100,
        )
        for item in map(catalog_item, range(1, size + 1))
    )


def catalog_item(product_id: int) -> Item:
    """Return one product, whatever the catalogue's size. The price is never zero.

    A plain tuple, because the generator meets new products faster than models are made.
    """
    if product_id <= len(_DEMO):
        return Item(product_id, *_DEMO[product_id - 1])
    mixed = product_id * _SPREAD % 2**32
    quality = _QUALITIES[mixed % len(_QUALITIES)]
    thing = _THINGS[mixed // 7 % len(_THINGS)]
    dollars = 5 + mixed // 64 % 1500
    return Item(
        product_id,
        f"{quality} {thing} {product_id}",
        f"{quality} {thing.lower()} for every day",
        dollars * 100 + 99,
        mixed // 512 % 250,
        dollars * 10 if mixed % 3 == 0 else 0,
    )
