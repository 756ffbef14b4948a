"""Random histories for the parity suite: walks over three products each, in every form of a value.

The forms are those of `tests.core.histories`. What the reference is documented not to do
(docs/flink.md) is left out: partial events, null values, numbers in place of text.
"""

from random import Random
from typing import Final

from tests.core.histories import (
    ACTIONS,
    DESCRIPTIONS,
    DISCOUNTS,
    FLAWS,
    NAMES,
    PRICES,
    STOCKS,
    TIMES,
    UNREADABLE,
    Token,
    break_field,
    json_text,
    price_tokens,
    time_tokens,
)
from tests.parity.cases import Event

PRODUCTS: Final = 3
OPTIONAL: Final = ("description", "stock_quantity", "discount", "created_at", "updated_at")
_NUMBERS_AS_TEXT: Final = {("product.product_name", "7"), ("event_id", "17")}
_FLAWS: Final = [flaw for flaw in FLAWS if flaw not in _NUMBERS_AS_TEXT]
_UNREADABLE: Final = [(key, value) for key, value in UNREADABLE if value is not None]
_FORMS: Final = {time: time_tokens(time) for time in TIMES}


def walk(random: Random, first_id: int) -> list[Event]:
    """Return 10 to 30 events of products `first_id` and the two after it."""
    events: list[Event] = []
    for number in range(random.randint(10, 30)):
        roll = random.random()
        if roll < 0.1 and events:
            events.append(random.choice(events[-6:]))
        elif roll < 0.13:
            events.append(random.choice(_UNREADABLE))
        else:
            product_id = first_id + random.randrange(PRODUCTS)
            events.append(_event(random, product_id, f"e{first_id}_{number}"))
    return events


def _event(random: Random, product_id: int, event_id: str) -> Event:
    pick = random.choice
    flaw = pick(_FLAWS) if random.random() < 0.1 else None
    action = "created" if flaw else pick(ACTIONS)
    discount = pick(DISCOUNTS)
    product: dict[str, Token] = {
        "product_id": str(product_id),
        "product_name": NAMES[pick(list(NAMES)[:2])],
        "description": DESCRIPTIONS[pick(list(DESCRIPTIONS))],
        "price": pick(price_tokens(pick(PRICES[1:3]) if random.random() < 0.7 else pick(PRICES))),
        "stock_quantity": pick(STOCKS[0] if random.random() < 0.7 else STOCKS[pick(list(STOCKS))]),
        "discount": pick([*price_tokens(discount), *(["null"] if discount == 0 else [])]),
        "created_at": pick(["null", *_FORMS[TIMES[0]]]),
        "updated_at": pick(["null", *_FORMS[TIMES[1]]]),
    }
    if action in ("created", "deleted"):
        for field in OPTIONAL:
            if random.random() < 0.2:
                del product[field]
    event: dict[str, Token] = {
        "event_id": f'"{event_id}"',
        "action": f'"{action}"',
        "timestamp": pick(_FORMS[pick(TIMES)]),
        "processed": "false",
        "product": product | pick(({}, {"colour": '{"red":[1e3,null]}'})),
        "old_price": pick(("null", '"1.00"', "1")),
    }
    if flaw:
        break_field(event, *flaw)
    return b"%d" % product_id, json_text(event).encode()


def interleaved(random: Random, histories: list[list[Event]]) -> list[Event]:
    """Mix histories into one stream; each keeps its order."""
    turns = [number for number, history in enumerate(histories) for _ in history]
    random.shuffle(turns)
    left = [iter(history) for history in histories]
    return [next(left[number]) for number in turns]
