"""The event generator: pure and seeded, the same bytes for the same seed and the same clock.

It keeps the real state of every product, so that an action means what it says: a price change has
a new price, a product is created once until it is deleted, and a duplicate is one.
"""

from bisect import bisect
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import accumulate, cycle
from random import Random
from typing import Final, NamedTuple, Self

from dedup.core.times import MICROSECOND
from producer.catalog import catalog_item
from producer.invalid import FLAWS, Record
from producer.live import Content, LiveProduct, changed_json, event_json, product_json, sent_at
from producer.mix import Mix
from producer.models import PartialProductEvent, ProductEvent

__all__ = ["EventGenerator", "GeneratedEvent", "Kind", "Mix"]

_CHANGES: Final = ("updated", "price_changed", "stock_updated")
_DELETED_OF_NEW: Final = 0.2
"""One of five actions is a delete, unless a share of deletes is asked for."""

_RECENT: Final = 64
"""How many events back the product of a duplicate is looked for."""


class Kind(StrEnum):
    """What an event is for a deduplicator."""

    NEW = "new"
    DUPLICATE = "duplicate"
    LATE = "late"
    DELETE = "delete"
    PARTIAL = "partial"
    INVALID = "invalid"
    REDELIVERY = "redelivery"
    REVERT = "revert"


class GeneratedEvent(NamedTuple):
    """A record to send, and what it means.

    `content` is the product as the event describes it (for a partial event: after it); None for an
    invalid one, whose `flaw` says what is wrong. `old_price_cents` is set on price changes.
    """

    key: bytes | None
    value: bytes | None
    kind: Kind
    action: str
    content: Content | None
    old_price_cents: int | None = None
    flaw: str | None = None

    @property
    def event(self) -> ProductEvent | None:
        """The value as a model: PartialProductEvent for a partial event, None for an invalid one.

        It is parsed at every access.
        """
        if self.kind is Kind.INVALID or self.value is None:
            return None
        partial = self.kind in (Kind.PARTIAL, Kind.REDELIVERY)  # of which some are partial
        model = PartialProductEvent if partial else ProductEvent
        return model.model_validate_json(self.value)


class EventGenerator(Iterator[GeneratedEvent]):
    """An endless iterator of events; its only sources are the seed and the clock.

    `clock` gives aware times. The events' own times strictly grow, by a microsecond where the
    clock does not advance; only a late event, which is sent again as it was, has an older one.
    """

    def __init__(self, seed: int, clock: Callable[[], datetime], mix: Mix | None = None) -> None:
        self.mix = mix or Mix()
        self._clock = clock
        self._random = Random(seed)  # noqa: S311 - reproducible, not secret
        self._time = datetime.min.replace(tzinfo=UTC)
        self._products: dict[int, LiveProduct] = {}
        self._recent: deque[LiveProduct] = deque(maxlen=_RECENT)
        self._flaws = cycle(FLAWS)
        # Superseded events are kept only when they can be asked for: they are most of the memory.
        self._keeps_older = self.mix.late > 0
        self._keeps_past = self.mix.redeliveries + self.mix.reverts > 0
        zipf = self.mix.zipf
        self._weights = zipf and list(accumulate(n**-zipf for n in range(1, self.mix.products + 1)))
        self._makers = self._thresholds()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> GeneratedEvent:
        roll = self._random.random()
        for threshold, make in self._makers:
            if roll < threshold:
                event = make()
                return self._new() if event is None else event
        return self._new()

    def _thresholds(self) -> list[tuple[float, Callable[[], GeneratedEvent | None]]]:
        """Return the cumulated shares; the rest up to 1 is for new events."""
        mix = self.mix
        shares: list[tuple[float, Callable[[], GeneratedEvent | None]]] = [
            (mix.duplicates, self._duplicate),
            (mix.late, self._late),
            (mix.partial, self._partial),
            (mix.invalid, self._invalid),
            (mix.deletes or 0.0, self._delete),
            (mix.redeliveries, self._redeliver),
            (mix.reverts, self._revert),
        ]
        wanted = [(share, make) for share, make in shares if share > 0]
        ends = accumulate(share for share, _ in wanted)
        return [(end, make) for end, (_, make) in zip(ends, wanted, strict=True)]

    def _pick(self) -> LiveProduct:
        """Choose any product of the catalogue."""
        if self._weights:
            weights = self._weights
            product_id = 1 + bisect(weights, self._random.random() * weights[-1])
        else:
            product_id = 1 + int(self._random.random() * self.mix.products)
        product = self._products.get(product_id)
        if product is None:
            product = self._products[product_id] = LiveProduct(catalog_item(product_id))
        return product

    def _find_recent(self, wanted: Callable[[LiveProduct], object]) -> LiveProduct | None:
        """Choose among the products of recent events one that is `wanted`."""
        recent = self._recent
        if not recent:
            return None
        start = int(self._random.random() * len(recent))
        steps = range(start, start - len(recent), -1)
        return next((recent[step] for step in steps if wanted(recent[step])), None)

    def _pick_that(self, wanted: Callable[[LiveProduct], object]) -> LiveProduct | None:
        """Choose any product, or if it is not `wanted` one of recent events that is."""
        product = self._pick()
        return product if wanted(product) else self._find_recent(wanted)

    def _advance(self) -> tuple[str, int]:
        """Return the time of the next event: its text and its whole seconds."""
        now = self._clock()
        if now.tzinfo is not UTC:
            now = now.astimezone(UTC)
        if now <= self._time:
            now = self._time + MICROSECOND
        self._time = now
        return now.isoformat(timespec="microseconds"), int(now.timestamp())

    def _emit(
        self, product: LiveProduct, content: Content, kind: Kind, at: tuple[str, int]
    ) -> GeneratedEvent:
        """Return a complete event of a product from its action, with `content`."""
        time, second = at
        value = event_json(
            product.event_id(second, self._random),
            product.action,
            time,
            product_json(content, time),
            product.old_price_cents,
        )
        event = GeneratedEvent(
            product.key, value, kind, product.action, content, product.old_price_cents
        )
        if self._keeps_older:
            if kind is not Kind.DUPLICATE:
                product.supersede()
            product.latest = event
        return self._took(product, event, None if kind is Kind.DELETE else content)

    def _took(
        self, product: LiveProduct, event: GeneratedEvent, content: Content | None
    ) -> GeneratedEvent:
        """Return an event, after noting what it makes of its product."""
        if self._keeps_past:
            product.note(event, content)
        product.content = content
        self._recent.append(product)
        return event

    def _new(self) -> GeneratedEvent:
        product = self._pick()
        content = product.content
        if content is None:
            at = self._advance()
            content = product.created(at[0], self._random)
            product.action, product.old_price_cents = "created", None
            return self._emit(product, content, Kind.NEW, at)
        if self.mix.deletes is None and self._random.random() < _DELETED_OF_NEW:
            return self._delete_one(product, content)
        return self._emit(product, self._change(product, content), Kind.NEW, self._advance())

    def _change(self, product: LiveProduct, content: Content) -> Content:
        """Choose an action for an existing product; return its content after it."""
        action = _CHANGES[int(self._random.random() * len(_CHANGES))]
        product.action = action
        product.old_price_cents = content.price_cents if action == "price_changed" else None
        return product.changed(action, content, self._random)

    def _duplicate(self) -> GeneratedEvent | None:
        product = self._find_recent(_exists)
        if product is None or product.content is None:
            return None
        return self._emit(product, product.content, Kind.DUPLICATE, self._advance())

    def _delete(self) -> GeneratedEvent | None:
        product = self._pick_that(_exists)
        if product is None or product.content is None:
            return None
        return self._delete_one(product, product.content)

    def _delete_one(self, product: LiveProduct, content: Content) -> GeneratedEvent:
        product.action, product.old_price_cents = "deleted", None
        return self._emit(product, content, Kind.DELETE, self._advance())

    def _late(self) -> GeneratedEvent | None:
        product = self._pick_that(_has_older)
        if product is None:
            return None
        older = product.older
        return older[int(self._random.random() * len(older))]._replace(kind=Kind.LATE)

    def _partial(self) -> GeneratedEvent | None:
        product = self._pick_that(_exists)
        if product is None or product.content is None:
            return None
        before = product.content
        after = self._change(product, before)
        time, second = self._advance()
        event_id = product.event_id(second, self._random)
        changed = changed_json(before, after)
        value = event_json(event_id, product.action, time, changed, product.old_price_cents)
        product.supersede()
        event = GeneratedEvent(
            product.key, value, Kind.PARTIAL, product.action, after, product.old_price_cents
        )
        return self._took(product, event, after)

    def _redeliver(self) -> GeneratedEvent | None:
        """Return an earlier event with its id and a new time; the product stays what it is."""
        product = self._pick_that(_has_past)
        if product is None:
            return None
        event = product.past[int(self._random.random() * len(product.past))]
        value = sent_at(event.value or b"", self._advance()[0])
        self._recent.append(product)
        return event._replace(value=value, kind=Kind.REDELIVERY)

    def _revert(self) -> GeneratedEvent | None:
        """Return an update that gives a product a content that it had before."""
        product = self._pick_that(LiveProduct.earlier_contents)
        if product is None or product.content is None:
            return None
        earlier = product.earlier_contents()
        content = earlier[int(self._random.random() * len(earlier))]
        product.action, product.old_price_cents = "updated", None
        return self._emit(product, content, Kind.REVERT, self._advance())

    def _invalid(self) -> GeneratedEvent:
        """Return an invalid event: a broken repetition of what is known, so it changes no state."""
        product = self._pick()
        time, second = self._advance()
        content = product.content or product.created(time, self._random)
        event_id = product.event_id(second, self._random)
        value = event_json(event_id, "updated", time, product_json(content, time), None)
        flaw = next(self._flaws)
        record = FLAWS[flaw](Record(product.key, value, content.product_id), self._random)
        return GeneratedEvent(record.key, record.value, Kind.INVALID, "updated", None, flaw=flaw)


def _exists(product: LiveProduct) -> bool:
    return product.content is not None


def _has_older(product: LiveProduct) -> bool:
    return bool(product.older)


def _has_past(product: LiveProduct) -> bool:
    return bool(product.past)
