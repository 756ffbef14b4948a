"""Records and batches for tests without a broker."""

import json
from typing import Any

from aiokafka import ConsumerRecord
from faust.types import TP

from dedup.streaming.recordbatch import RecordBatch

TP0 = TP("products", 0)


def event(
    product_id: int = 1, *, number: int = 1, action: str = "updated", **product: Any
) -> bytes:
    """Return an event whose time is `number` seconds into a minute."""
    return json.dumps(
        {
            "event_id": f"evt_{number}",
            "action": action,
            "timestamp": f"2026-01-01T00:00:{number:02d}+00:00",
            "processed": False,
            "product": {
                "product_id": product_id,
                "product_name": f"Product {product_id}",
                "description": None,
                "price": "10.00",
                "stock_quantity": 1,
                "discount": "0.00",
                "created_at": "2025-12-01T00:00:00+00:00",
                "updated_at": f"2026-01-01T00:00:{number:02d}+00:00",
            }
            | product,
            "old_price": None,
        }
    ).encode()


def record(
    offset: int, value: bytes | None, key: bytes | None = b"1", partition: int = 0
) -> ConsumerRecord[bytes | None, bytes | None]:
    """Return a record of `products`."""
    return ConsumerRecord(
        topic="products",
        partition=partition,
        offset=offset,
        timestamp=1_767_225_600_000,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key or b""),
        serialized_value_size=len(value or b""),
        headers=(("trace", b"abc"),),
    )


def batch(*records: ConsumerRecord[bytes | None, bytes | None]) -> RecordBatch:
    """Return a batch of partition 0."""
    return RecordBatch(TP0, list(records), records[-1].offset + 1, on_done=lambda: None)
