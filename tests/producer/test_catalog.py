"""The catalogue is the demo's eight products, and the same at any size."""

from producer.catalog import catalog


def test_the_first_eight_are_the_demos() -> None:
    assert [product.product_name for product in catalog(8)] == [
        "Laptop Pro",
        "Wireless Headphones",
        "Coffee Maker",
        "Running Shoes",
        "Smartphone",
        "Desk Chair",
        "Water Bottle",
        "Tablet",
    ]
    assert str(catalog(1)[0].price) == "1299.99"


def test_a_larger_catalogue_begins_with_the_smaller_one() -> None:
    large = catalog(5_000)
    assert large[:100] == catalog(100)
    assert [product.product_id for product in large] == list(range(1, 5_001))
    assert len({product.product_name for product in large}) == 5_000
    assert all(0 <= product.discount < product.price for product in large)


def test_an_empty_catalogue_is_one() -> None:
    assert catalog(0) == ()
