"""The generator is reproducible, and every event is what it says it is."""

import json
import math
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from itertools import islice, pairwise

import pytest

from dedup.core.dead_letter import DeadLetter
from dedup.core.decide import Outcome, Position, ProcessingTime, decide
from dedup.core.state import State
from dedup.core.times import microseconds
from producer.events import EventGenerator, GeneratedEvent, Kind, Mix
from producer.invalid import FLAWS
from producer.models import ACTIONS, PartialProductEvent, ProductEvent
from tests.support.products import CODEC, rules

START = datetime(2024, 2, 29, 23, 59, 58, 999_990, tzinfo=UTC)
EVERYTHING = Mix(products=20, duplicates=0.3, late=0.1, deletes=0.05, partial=0.1, invalid=0.05)
CONTENT = ("product_id", "product_name", "description", "price", "stock_quantity", "discount")


def ticking(step: timedelta = timedelta(microseconds=7)) -> Callable[[], datetime]:
    now = START

    def clock() -> datetime:
        nonlocal now
        now += step
        return now

    return clock


def generate(count: int, mix: Mix, seed: int = 1) -> list[GeneratedEvent]:
    return list(islice(EventGenerator(seed, ticking(), mix), count))


def parsed(event: GeneratedEvent) -> ProductEvent:
    model = event.event
    assert model is not None
    return model


def content_of(event: GeneratedEvent) -> dict[str, object]:
    product = parsed(event).product
    return {name: getattr(product, name) for name in CONTENT}


def test_same_seed_and_clock_give_the_same_bytes() -> None:
    assert generate(3_000, EVERYTHING) == generate(3_000, EVERYTHING)
    assert generate(50, EVERYTHING) != generate(50, EVERYTHING, seed=2)


def test_a_seed_gives_the_bytes_it_always_gave() -> None:
    """Seeds stand in result files and bug reports: a new kind of event must not move the others."""
    sent = b"".join(event.value or b"" for event in generate(3_000, EVERYTHING))
    digest = "a56d36d19ce85508c486f0768230a17152a83f4357ad6cdfad6091f44c7c41a1"
    assert sha256(sent).hexdigest() == digest


@pytest.mark.parametrize(
    ("mix", "kind", "share"),
    [
        (Mix(), Kind.DUPLICATE, 0.3),
        (Mix(duplicates=0.0), Kind.DUPLICATE, 0.0),
        (Mix(duplicates=0.9), Kind.DUPLICATE, 0.9),
        (Mix(products=100_000), Kind.DUPLICATE, 0.3),
        (Mix(late=0.2), Kind.LATE, 0.2),
        (Mix(partial=0.25), Kind.PARTIAL, 0.25),
        (Mix(invalid=0.1), Kind.INVALID, 0.1),
        (Mix(deletes=0.05), Kind.DELETE, 0.05),
        (Mix(deletes=0.0), Kind.DELETE, 0.0),
        (Mix(redeliveries=0.2), Kind.REDELIVERY, 0.2),
        (Mix(reverts=0.2, deletes=0.0), Kind.REVERT, 0.2),
    ],
)
def test_every_kind_has_its_share(mix: Mix, kind: Kind, share: float) -> None:
    """Within 5 sigma of the binomial, and ten events that could not be made in the beginning."""
    count = 20_000
    found = Counter(event.kind for event in generate(count, mix))[kind]
    tolerance = 5 * math.sqrt(count * share * (1 - share)) + (10 if share else 0)
    assert abs(found - count * share) <= tolerance


def test_the_decision_agrees_with_every_kind() -> None:
    """The worker's rules, applied in the order of sending, find exactly what was generated."""
    expected = {
        Kind.NEW: Outcome.CHANGE,
        Kind.PARTIAL: Outcome.CHANGE,
        Kind.DELETE: Outcome.TOMBSTONE,
        Kind.DUPLICATE: Outcome.DUPLICATE,
        Kind.LATE: Outcome.STALE,
        Kind.INVALID: Outcome.DEAD_LETTER,
    }
    clock = ProcessingTime(microseconds(START), "2024-02-29T23:59:58.999990Z")
    states: dict[bytes | None, State | None] = {}
    for offset, event in enumerate(generate(20_000, EVERYTHING)):
        state = states.get(event.key)
        decision = decide(
            CODEC.read(event.key, event.value), state, Position(0, offset), clock, rules()
        )
        assert decision.outcome is expected[event.kind], event
        if decision.state is not None:
            states[event.key] = decision.state


def test_a_duplicate_has_the_current_content_a_new_id_and_a_later_time() -> None:
    current: dict[bytes | None, GeneratedEvent] = {}
    for event in generate(5_000, Mix(products=20)):
        before = current.get(event.key)
        if event.kind is Kind.DUPLICATE:
            assert before is not None
            assert content_of(event) == content_of(before)
            assert event.action == before.action
            assert event.old_price_cents == before.old_price_cents
            assert parsed(event).event_id != parsed(before).event_id
            assert parsed(event).timestamp > parsed(before).timestamp
        current[event.key] = event


def test_a_late_event_is_an_earlier_record_from_before_the_current_content() -> None:
    sent: set[tuple[bytes | None, bytes | None]] = set()
    content_since: dict[bytes | None, datetime] = {}
    for event in generate(10_000, EVERYTHING):
        if event.kind is Kind.LATE:
            assert (event.key, event.value) in sent
            assert parsed(event).timestamp < content_since[event.key]
        elif event.kind in {Kind.NEW, Kind.PARTIAL, Kind.DELETE}:
            content_since[event.key] = parsed(event).timestamp
        sent.add((event.key, event.value))


COMING_AGAIN = Mix(products=20, late=0.05, deletes=0.05, partial=0.1, redeliveries=0.2, reverts=0.2)


def test_a_redelivery_is_an_earlier_event_with_a_new_time_also_after_others() -> None:
    sent: dict[tuple[bytes | None, str], ProductEvent] = {}
    newest: dict[bytes | None, str] = {}
    after_others = 0
    for event in generate(10_000, COMING_AGAIN):
        model = parsed(event)
        if event.kind is Kind.REDELIVERY:
            before = sent[event.key, model.event_id]
            assert model.timestamp > before.timestamp
            assert model.product == before.product
            assert model.model_copy(update={"timestamp": before.timestamp}) == before
            after_others += newest[event.key] != model.event_id
        elif event.kind is not Kind.LATE:
            as_sent = PartialProductEvent.model_validate_json(event.value or b"")
            sent[event.key, model.event_id] = as_sent
        newest[event.key] = model.event_id
    assert after_others > 1_000


def test_a_revert_has_a_new_id_and_a_content_from_before_the_current_one() -> None:
    """The redeliveries are no part of what the product really was."""
    contents: dict[bytes | None, list[dict[str, object]]] = {}
    ids: set[str] = set()
    mix = Mix(products=20, deletes=0.05, redeliveries=0.2, reverts=0.2)
    for event in generate(10_000, mix):
        if event.kind is Kind.REDELIVERY:
            continue
        history = contents.setdefault(event.key, [])
        if event.kind is Kind.REVERT:
            assert content_of(event) != history[-1]
            assert content_of(event) in history
            assert parsed(event).event_id not in ids
        ids.add(parsed(event).event_id)
        history.append(content_of(event))


def test_every_valid_value_is_what_the_models_write() -> None:
    for event in generate(5_000, EVERYTHING):
        if event.kind is Kind.INVALID or event.value is None:
            continue
        model = PartialProductEvent if event.kind is Kind.PARTIAL else ProductEvent
        read = model.model_validate_json(event.value)
        written = json.loads(read.model_dump_json(exclude_unset=True))
        # The demo writes UTC as +00:00, the models write it as Z.
        assert json.loads(event.value.replace(b'+00:00"', b'Z"')) == written
        assert read == event.event


def test_keys_of_the_value_are_in_the_order_of_the_schema() -> None:
    value = generate(1, Mix())[0].value
    assert value is not None
    document = json.loads(value)
    assert list(document) == [
        "event_id",
        "action",
        "timestamp",
        "processed",
        "product",
        "old_price",
    ]
    assert list(document["product"]) == [*CONTENT, "created_at", "updated_at"]
    assert document["processed"] is False
    assert document["timestamp"] == document["product"]["updated_at"]
    assert document["timestamp"] == "2024-02-29T23:59:58.999997+00:00"


def test_money_is_text_with_two_places() -> None:
    for event in generate(5_000, Mix(products=2_000)):
        document = json.loads(event.value or b"")
        amounts = [document["product"]["price"], document["product"]["discount"]]
        amounts += [document["old_price"]] if document["old_price"] is not None else []
        for amount in amounts:
            whole, _, places = amount.partition(".")
            assert whole.isdigit()
            assert len(places) == 2
            assert places.isdigit()


def test_ids_are_unique_even_when_one_product_has_all_events_of_a_second() -> None:
    events = generate(30_000, Mix(products=1, invalid=0.01, deletes=0.1))
    ids = [parsed(event).event_id for event in events if event.event is not None]
    assert len(set(ids)) == len(ids)
    assert ids[0].startswith("evt_1_1709251198_")
    assert len(ids[0].rpartition("_")[2]) == 4


def test_times_grow_strictly_when_the_clock_stands_still_or_goes_back() -> None:
    moments = iter([START, START, START - timedelta(hours=1), *[START] * 997])
    events = list(islice(EventGenerator(1, lambda: next(moments)), 1_000))
    times = [parsed(event).timestamp for event in events]
    assert times[0] == START
    assert all(a < b for a, b in pairwise(times))


def test_a_clock_in_another_zone_gives_utc() -> None:
    zone = timezone(timedelta(hours=2))
    event = next(EventGenerator(1, lambda: START.astimezone(zone)))
    assert b'"timestamp":"2024-02-29T23:59:58.999990+00:00"' in (event.value or b"")


@pytest.mark.parametrize("mix", [Mix(), EVERYTHING, Mix(products=1, deletes=0.3, partial=0.3)])
def test_created_comes_first_and_after_a_delete_and_only_then(mix: Mix) -> None:
    existing: dict[bytes | None, bool] = {}
    for event in generate(5_000, mix):
        if event.kind in {Kind.LATE, Kind.INVALID}:
            continue
        exists = existing.get(event.key, False)
        if event.kind is Kind.NEW:
            assert (event.action == "created") is not exists
        else:
            assert exists
        assert event.action in ACTIONS
        assert (event.kind is Kind.DELETE) is (event.action == "deleted")
        existing[event.key] = event.action != "deleted"


def test_an_action_changes_what_it_says_and_nothing_else() -> None:
    changes = {
        "price_changed": ({"price"},),
        "stock_updated": ({"stock_quantity"},),
        "updated": ({"description"}, {"discount"}),
        "deleted": (set[str](),),
    }
    before: dict[bytes | None, dict[str, object]] = {}
    for event in generate(10_000, Mix(products=30, duplicates=0.0)):
        after = content_of(event)
        old_price = parsed(event).old_price
        if event.action != "created":
            known = before[event.key]
            assert {name for name in CONTENT if known[name] != after[name]} in changes[event.action]
        assert old_price == (known["price"] if event.action == "price_changed" else None)
        before[event.key] = after


def test_a_partial_event_carries_its_id_and_what_it_changes() -> None:
    fields = {
        "price_changed": ({"product_id", "price"},),
        "stock_updated": ({"product_id", "stock_quantity"},),
        "updated": ({"product_id", "description"}, {"product_id", "discount"}),
    }
    partials = [e for e in generate(5_000, Mix(partial=0.5)) if e.kind is Kind.PARTIAL]
    assert {event.action for event in partials} == set(fields)
    for event in partials:
        assert set(json.loads(event.value or b"")["product"]) in fields[event.action]


def test_invalid_events_go_round_every_flaw_and_only_they_are_refused() -> None:
    events = generate(5_000, EVERYTHING)
    flaws = [event.flaw for event in events if event.kind is Kind.INVALID]
    assert flaws[: len(FLAWS)] == list(FLAWS)
    for event in events:
        read = CODEC.read(event.key, event.value)
        assert isinstance(read, DeadLetter) is (event.kind is Kind.INVALID), event
        if event.kind is not Kind.INVALID:
            assert event.key == b"%d" % parsed(event).product.product_id
