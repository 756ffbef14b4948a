"""What the generator knows of one product: its real state, and the JSON of an event about it.

Text is put together by hand: models would cost more than everything else the generator does. The
tests hold every value against the models of `producer.models`.
"""

import re
from json.encoder import encode_basestring_ascii as json_text
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from producer.catalog import Item

if TYPE_CHECKING:
    from producer.events import GeneratedEvent

_REVISIONS: Final = ("", " - revised", " - new edition", " - while stocks last", " - bestseller")
_MAX_STOCK: Final = 250
_MAX_OLDER: Final = 4
"""How many superseded events are kept of a product, to be redelivered late."""

_MAX_PAST: Final = 4
"""How many events, and how many contents, are kept of a product to come again."""

_TIMESTAMP: Final = re.compile(rb'(?<="timestamp":")[^"]+')


class Content(NamedTuple):
    """The state of a product at one moment; money in cents, `created_at` as it is in the JSON."""

    product_id: int
    product_name: str
    description: str
    price_cents: int
    stock_quantity: int
    discount_cents: int
    created_at: str


def money(cents: int) -> str:
    """Return an amount as text with two places."""
    return f"{cents // 100}.{cents % 100:02d}"


def product_json(content: Content, updated_at: str) -> str:
    """Return the complete product of an event as JSON."""
    return (
        f'{{"product_id":{content.product_id},"product_name":{json_text(content.product_name)},'
        f'"description":{json_text(content.description)},"price":"{money(content.price_cents)}",'
        f'"stock_quantity":{content.stock_quantity},'
        f'"discount":"{money(content.discount_cents)}",'
        f'"created_at":"{content.created_at}","updated_at":"{updated_at}"}}'
    )


def changed_json(before: Content, after: Content) -> str:
    """Return a partial product as JSON: its id and the fields that changed."""
    fields = [f'"product_id":{after.product_id}']
    if after.description != before.description:
        fields.append(f'"description":{json_text(after.description)}')
    if after.price_cents != before.price_cents:
        fields.append(f'"price":"{money(after.price_cents)}"')
    if after.stock_quantity != before.stock_quantity:
        fields.append(f'"stock_quantity":{after.stock_quantity}')
    if after.discount_cents != before.discount_cents:
        fields.append(f'"discount":"{money(after.discount_cents)}"')
    return f"{{{','.join(fields)}}}"


def event_json(
    event_id: str, action: str, timestamp: str, product: str, old_price_cents: int | None
) -> bytes:
    """Return the value of a record; `product` is JSON already."""
    old_price = "null" if old_price_cents is None else f'"{money(old_price_cents)}"'
    return (
        f'{{"event_id":"{event_id}","action":"{action}","timestamp":"{timestamp}",'
        f'"processed":false,"product":{product},"old_price":{old_price}}}'
    ).encode()


def sent_at(value: bytes, timestamp: str) -> bytes:
    """Return the value of a record with another time of the event."""
    return _TIMESTAMP.sub(timestamp.encode(), value, count=1)


class LiveProduct:
    """One product of the catalogue as its events have left it.

    `content` is None while the product does not exist. `action` and `old_price_cents` are those of
    the event that made the content or deleted it; `latest` is the last complete event that carries
    it, `older` are such events of contents before it. `past` are the last events, `contents` the
    last contents, whatever was deleted in between.
    """

    __slots__ = (
        "_id_number",
        "_id_second",
        "action",
        "base",
        "content",
        "contents",
        "key",
        "latest",
        "old_price_cents",
        "older",
        "past",
    )

    def __init__(self, base: Item) -> None:
        self.base = base
        self.key = b"%d" % base.product_id
        self.content: Content | None = None
        self.action = "created"
        self.old_price_cents: int | None = None
        self.latest: GeneratedEvent | None = None
        self.older: tuple[GeneratedEvent, ...] = ()
        self.past: tuple[GeneratedEvent, ...] = ()
        self.contents: tuple[Content, ...] = ()
        self._id_second = -1
        self._id_number = 0

    def event_id(self, second: int, random: Random) -> str:
        """Return an id no event of this product had before, as long as `second` never falls."""
        if second == self._id_second:
            self._id_number += 1  # grows past four digits rather than repeat itself
        else:
            self._id_second = second
            self._id_number = 1000 + int(random.random() * 9000)
        return f"evt_{self.base.product_id}_{second}_{self._id_number}"

    def supersede(self) -> None:
        """Move the latest event to the older ones: the content is about to change."""
        if self.latest is not None:
            self.older = (*self.older[1 - _MAX_OLDER :], self.latest)
            self.latest = None

    def note(self, event: "GeneratedEvent", content: Content | None) -> None:
        """Keep an event, and the content that it leads to, for later ones."""
        self.past = (*self.past[1 - _MAX_PAST :], event)
        if content is not None:
            others = tuple(each for each in self.contents if each[:-1] != content[:-1])
            self.contents = (*others[1 - _MAX_PAST :], content)

    def earlier_contents(self) -> list[Content]:
        """Return the contents it had and has not now; none while it does not exist."""
        now = self.content
        if now is None:
            return []
        at = now.created_at
        return [c._replace(created_at=at) for c in self.contents if c[:-1] != now[:-1]]

    def created(self, created_at: str, random: Random) -> Content:
        """Return the content of this product when it is created, for the first time or again."""
        base = self.base
        again = self.action == "deleted"
        return Content(
            base.product_id,
            base.product_name,
            base.description,
            base.price_cents,
            int(random.random() * _MAX_STOCK) if again else base.stock_quantity,
            base.discount_cents,
            created_at,
        )

    def changed(self, action: str, content: Content, random: Random) -> Content:
        """Return content that differs from `content` in what `action` is about."""
        if action == "price_changed":
            # Around the catalogue's price: a walk from price to price would end at zero or beyond
            # ten digits.
            cents = int(self.base.price_cents * (0.7 + 0.6 * random.random()))
            if cents == content.price_cents:
                cents += 1
            return content._replace(price_cents=cents)
        if action == "stock_updated":
            return content._replace(
                stock_quantity=_another(content.stock_quantity, _MAX_STOCK, random)
            )
        if random.random() < 0.5:  # noqa: PLR2004 - either of two kinds of update
            percent = _another(content.discount_cents * 100 // self.base.price_cents, 31, random)
            cents = self.base.price_cents * percent // 100
            if cents != content.discount_cents:
                return content._replace(discount_cents=cents)
        text = self.base.description
        revision = _REVISIONS.index(content.description[len(text) :])
        return content._replace(
            description=text + _REVISIONS[_another(revision, len(_REVISIONS), random)]
        )


def _another(number: int, below: int, random: Random) -> int:
    """Return a number from 0 to `below` - 1 that is not `number`."""
    other = int(random.random() * (below - 1))
    return other + 1 if other >= number else other
