"""The demo of a Debezium topic: `make demo ENTITY=debezium`."""

from typing import Final

from dedup.demo.example import Column, Example
from examples.debezium.events import Generator
from examples.debezium.oracle import Oracle, emission

EXAMPLE: Final = Example(
    entity_name="examples.debezium.products:PRODUCT",
    generate=Generator,
    oracle=Oracle,
    emission=emission,
    columns=(
        Column("id", lambda row: row["product_id"], right=True),
        Column("name", lambda row: row["product_name"]),
        Column("price", lambda row: row["price"], right=True),
        Column("stock", lambda row: row["stock_quantity"], right=True),
        Column("discount", lambda row: row["discount"] or "", right=True),
        Column("op", lambda row: row["last_action"]),
        Column("at (UTC)", lambda row: row["last_event_timestamp"][11:23]),
    ),
    settings={"KAFKA_PRODUCT_TOPIC": "shop.public.products"},
)
