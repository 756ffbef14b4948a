"""`DEDUP_ENTITY`: where the entity is found, and what is named after it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from dedup.core.errors import SettingsError
from dedup.entities.product import PRODUCT
from dedup.entities.resolve import resolve_entity
from dedup.rules import codec_of
from dedup.settings import load_settings

ONE = """
from datetime import datetime
from pydantic import BaseModel
from dedup import Entity, Flat

class Order(BaseModel):
    order_id: str
    status: str
    updated_at: datetime

ORDER = Entity(name="order", model=Order, id="order_id", metadata=("updated_at",),
               envelope=Flat(time="updated_at"))
"""
TWO = (
    f"{ONE}\nRETURN = Entity(name='return', model=Order, id='order_id', envelope=ORDER.envelope)\n"
)


class Modules:
    """A directory of modules, which is the current one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, path: str, text: str) -> None:
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Modules]:
    """No module and no resolved entity of a test outlives it."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    resolve_entity.cache_clear()
    yield Modules(tmp_path)
    resolve_entity.cache_clear()
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) is not None:
            origin = Path(str(sys.modules[name].__file__))
            if origin.is_relative_to(tmp_path):
                del sys.modules[name]


def refusal(name: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings({"DEDUP_ENTITY": name})
    return str(caught.value)


def test_without_the_setting_products_are_deduplicated() -> None:
    settings = load_settings({})
    assert settings.entity is PRODUCT
    assert settings.KAFKA_PRODUCT_TOPIC == "products"
    assert settings.KAFKA_SRC_PRODUCTS_TOPIC == "src_products"
    assert settings.KAFKA_DLQ_TOPIC == "products.dlq"
    assert settings.DEDUP_APP_ID == "product-dedup"
    assert Path("product-dedup-data") == settings.DEDUP_DATA_DIR
    assert PRODUCT.content == settings.DEDUP_CONTENT_FIELDS


@pytest.mark.parametrize("name", ["orders_here:ORDER", "orders_here"])
def test_an_entity_is_found_in_the_current_directory(modules: Modules, name: str) -> None:
    modules.write("orders_here.py", ONE)
    path = list(sys.path)
    assert resolve_entity(name).name == "order"
    assert sys.path == path


@pytest.mark.parametrize("name", ["shop_here.sales.orders:ORDER", "shop_here.sales.orders"])
def test_an_entity_is_found_in_a_sub_package(modules: Modules, name: str) -> None:
    modules.write("shop_here/__init__.py", "")
    modules.write("shop_here/sales/__init__.py", "")
    modules.write("shop_here/sales/orders.py", ONE)
    assert resolve_entity(name).name == "order"


def test_a_package_may_name_the_entity_of_its_module(modules: Modules) -> None:
    modules.write("shop_package/__init__.py", "from shop_package.orders import ORDER\n")
    modules.write("shop_package/orders.py", ONE)
    assert resolve_entity("shop_package") is resolve_entity("shop_package.orders:ORDER")


def test_topics_group_and_directory_are_named_after_the_entity(modules: Modules) -> None:
    modules.write("orders_named.py", ONE)
    settings = load_settings({"DEDUP_ENTITY": "orders_named:ORDER"})
    assert settings.KAFKA_PRODUCT_TOPIC == "orders"
    assert settings.KAFKA_SRC_PRODUCTS_TOPIC == "src_orders"
    assert settings.KAFKA_DLQ_TOPIC == "orders.dlq"
    assert settings.DEDUP_APP_ID == "order-dedup"
    assert Path("order-dedup-data") == settings.DEDUP_DATA_DIR
    assert settings.DEDUP_CONTENT_FIELDS == ("status",)
    assert codec_of(settings).entity.name == "order"


def test_a_name_that_is_set_wins_over_that_of_the_entity(modules: Modules) -> None:
    modules.write("orders_set.py", ONE)
    others = {"KAFKA_PRODUCT_TOPIC": "sales", "DEDUP_APP_ID": "mine", "KAFKA_DLQ_TOPIC": ""}
    settings = load_settings({"DEDUP_ENTITY": "orders_set", **others})
    assert (settings.KAFKA_PRODUCT_TOPIC, settings.DEDUP_APP_ID) == ("sales", "mine")
    assert settings.KAFKA_DLQ_TOPIC == "orders.dlq"
    assert settings.KAFKA_SRC_PRODUCTS_TOPIC == "src_orders"


def test_a_module_with_two_entities_needs_the_name_of_one(modules: Modules) -> None:
    modules.write("orders_two.py", TWO)
    assert resolve_entity("orders_two:RETURN").name == "return"
    said = refusal("orders_two")
    assert "DEDUP_ENTITY=orders_two is not accepted" in said
    assert "orders_two has 2 of Entity: name one after a colon" in said


def test_a_module_without_an_entity_is_refused(modules: Modules) -> None:
    modules.write("orders_none.py", "ORDER = 'order'\n")
    assert "orders_none has 0 of Entity" in refusal("orders_none")
    assert "ORDER is none; an Entity is expected" in refusal("orders_none:ORDER")
    assert "orders_none has no SALE; an Entity is expected" in refusal("orders_none:SALE")


@pytest.mark.parametrize("name", ["no_such_module:ORDER", "dedup.no_such_module", "no_such.module"])
def test_a_module_that_is_nowhere_is_refused_with_where_it_was_looked_for(
    modules: Modules, name: str
) -> None:
    said = refusal(name)
    assert f"there is no module {name.partition(':')[0]}" in said
    assert str(modules.directory) in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import no_such_library", "No module named 'no_such_library'"),
        ("ORDER = 1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError: "),
        ("import os\nos.environ['NO_SUCH_NAME']", "KeyError: 'NO_SUCH_NAME'"),
        (
            ONE.replace('metadata=("updated_at",)', 'metadata=("changed_at",)'),
            "metadata: Order has no field 'changed_at'",
        ),
        (ONE.replace("order_id: str", "order_id: float"), "field order_id: "),
        (ONE.replace('Flat(time="updated_at")', 'Flat(time="at")'), "Order has no field 'at'"),
    ],
    ids=["missing", "raises", "syntax", "environment", "metadata", "id", "time"],
)
def test_a_module_that_can_t_be_imported_is_refused_with_the_reason(
    modules: Modules, text: str, why: str
) -> None:
    modules.write("orders_broken.py", text)
    said = refusal("orders_broken:ORDER")
    assert "DEDUP_ENTITY=orders_broken:ORDER is not accepted: importing it failed: " in said
    assert why in said


@pytest.mark.parametrize("name", [":ORDER", "shop/orders.py", "shop-orders:ORDER", "a..b", "1"])
def test_what_is_no_name_of_a_module_is_refused(name: str) -> None:
    assert "it is no name of a module, such as shop.orders:ORDER" in refusal(name)


def test_content_fields_are_chosen_from_those_of_the_entity(modules: Modules) -> None:
    modules.write("orders_content.py", ONE)
    environ = {"DEDUP_ENTITY": "orders_content", "DEDUP_CONTENT_FIELDS": "price"}
    with pytest.raises(SettingsError, match=r"DEDUP_CONTENT_FIELDS=price .*: .*status"):
        load_settings(environ)
