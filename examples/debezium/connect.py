"""How Kafka Connect writes events of Debezium's PostgreSQL connector as JSON."""

import json
from base64 import b64encode
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

_TABLE: Final = "shop.public.products"
_DECIMAL: Final = {
    "type": "bytes",
    "name": "org.apache.kafka.connect.data.Decimal",
    "version": 1,
    "parameters": {"scale": "2", "connect.decimal.precision": "10"},
}
_MICROS: Final = {"type": "int64", "name": "io.debezium.time.MicroTimestamp", "version": 1}
_ZONED: Final = {"type": "string", "name": "io.debezium.time.ZonedTimestamp", "version": 1}

Document = dict[str, Any]


def _compact(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _field(name: str, type_: Document, *, optional: bool = False) -> Document:
    return {**type_, "optional": optional, "field": name}


@dataclass(frozen=True)
class Connect:
    """The settings of a connector: `schemas.enable` of both converters, `decimal.handling.mode`."""

    schemas: bool = False
    decimals: Literal["string", "precise"] = "string"

    def key(self, product_id: int) -> bytes:
        """Return the key of a row's events."""
        return self._with(_KEY_SCHEMA, {"product_id": product_id})

    def value(self, event: Document) -> bytes:
        """Return the value of an event."""
        return self._with(_VALUE_SCHEMAS[self.decimals], event)

    def decimal(self, value: Decimal | None) -> str | None:
        """Return a decimal as a row has it: a text, or base64 of its unscaled bytes."""
        if value is None or self.decimals == "string":
            return None if value is None else f"{value:.2f}"
        unscaled = int(value * 100)
        data = unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True)
        return b64encode(data).decode()

    def _with(self, schema: str, payload: Document) -> bytes:
        written = _compact(payload)
        if self.schemas:
            written = f'{{"schema":{schema},"payload":{written}}}'
        return written.encode()


def _value_schema(decimal: Document) -> str:
    text, integer = {"type": "string"}, {"type": "int32"}
    row = [
        _field("product_id", {"type": "int64"}),
        _field("product_name", text),
        _field("description", text, optional=True),
        _field("price", decimal),
        _field("stock_quantity", integer),
        _field("discount", decimal, optional=True),
        _field("created_at", _ZONED, optional=True),
        _field("updated_at", _MICROS),
    ]
    struct = {"type": "struct", "fields": row, "name": f"{_TABLE}.Value"}
    source = [
        *(_field(name, text) for name in ("version", "connector", "name")),
        _field("ts_ms", {"type": "int64"}),
        _field("snapshot", text, optional=True),
        *(_field(name, text) for name in ("db", "schema", "table")),
        *(_field(name, {"type": "int64"}, optional=True) for name in ("ts_us", "txId", "lsn")),
    ]
    return _compact(
        {
            "type": "struct",
            "fields": [
                _field("before", struct, optional=True),
                _field("after", struct, optional=True),
                _field("source", {"type": "struct", "fields": source}),
                _field("op", text),
                _field("ts_ms", {"type": "int64"}, optional=True),
            ],
            "optional": False,
            "name": f"{_TABLE}.Envelope",
            "version": 2,
        }
    )


_KEY_SCHEMA: Final = _compact(
    {
        "type": "struct",
        "fields": [_field("product_id", {"type": "int64"})],
        "optional": False,
        "name": f"{_TABLE}.Key",
    }
)
_VALUE_SCHEMAS: Final = {
    "string": _value_schema({"type": "string"}),
    "precise": _value_schema(_DECIMAL),
}
