"""A feed whose products never stop changing: they are created and deleted all the time."""

from datetime import UTC, datetime
from random import Random


class Churn:
    """Events of a set of products that never stops changing; its size stays about constant."""

    def __init__(self, seed: int, live: int) -> None:
        self.created = 0
        self._random = Random(seed)  # noqa: S311 - reproducible, not secret
        self._wanted = live
        self._stock: dict[int, int] = {}
        self._ids: list[int] = []
        self._events = 0

    def event(self) -> tuple[int, bytes]:
        """Return the next event: of ten, three say nothing new."""
        roll = self._random.random()
        at = int(self._random.random() * len(self._ids))
        if len(self._ids) < self._wanted or roll < 0.05:  # noqa: PLR2004 - the mix
            self.created += 1
            self._ids.append(self.created)
            self._stock[self.created] = 0
            return self.created, self._value(self.created, "created")
        product_id = self._ids[at]
        if roll < 0.10:  # noqa: PLR2004
            self._ids[at] = self._ids[-1]
            self._ids.pop()
            value = self._value(product_id, "deleted")
            del self._stock[product_id]
            return product_id, value
        if roll > 0.40:  # noqa: PLR2004
            self._stock[product_id] += 1
        return product_id, self._value(product_id, "stock_updated")

    def _value(self, product_id: int, action: str) -> bytes:
        self._events += 1
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        return (
            f'{{"event_id":"evt_{self._events}","action":"{action}","timestamp":"{now}",'
            f'"processed":false,"product":{{"product_id":{product_id},'
            f'"product_name":"Product {product_id}","description":"One of many, as it stands",'
            f'"price":"{product_id % 1000}.99","stock_quantity":{self._stock[product_id]},'
            f'"discount":"0.00","created_at":"2026-01-01T00:00:00.000000+00:00",'
            f'"updated_at":"{now}"}},"old_price":null}}'
        ).encode()
