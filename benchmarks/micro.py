"""What does each step of the core cost? `make bench-micro`.

Each step is timed alone, by pyperf, so that a regression is seen where it happens; options after
`ARGS=` are pyperf's (`--fast`, `-o file.json`, and `python -m pyperf compare_to` for two files).
`--short` takes seconds, needs no pyperf, and is what CI prints. Nothing is asserted about time.
"""

import sys
import timeit
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import process_time
from typing import Final, NamedTuple, get_args

from dedup.core.batch import decide_batch
from dedup.core.codec import Codec, Whole
from dedup.core.codecs import codec_for
from dedup.core.decide import Outcome, Position, ProcessingTime, Rules
from dedup.core.facts import EntityFacts, decide_on, facts_of
from dedup.core.keys import Id
from dedup.core.normal_event import NormalEvent
from dedup.core.records import output_headers
from dedup.core.state import State, decode_state, encode_state
from dedup.core.window import Strategy
from dedup.entities.product import PRODUCT

Step = Callable[[], object]

KEY: Final = b"17"
CLOCK: Final = ProcessingTime(1_767_225_600_000_000, "2026-01-01T00:00:00.000000Z")
CODEC: Final = codec_for(PRODUCT)
PURE: Final = Codec(PRODUCT, compiled=False)
RULES: Final = Rules(codec=CODEC)
SHORT_REPEATS: Final = 5
SHORT_LOOPS: Final = 2_000
BATCH: Final = 64
EVENTS_BEFORE: Final = 8
WINDOW_US: Final = 3_600_000_000


def event_bytes(second: int, *, price: str = '"84.99"') -> bytes:
    """Return an event as the producer writes it; a price that is no text is not the plain form."""
    return (
        f'{{"event_id":"evt_17_{second}","action":"updated",'
        f'"timestamp":"2026-01-01T00:00:{second:02d}.123456+00:00","processed":false,'
        f'"product":{{"product_id":17,"product_name":"Compact Kettle 17",'
        f'"description":"Compact kettle for every day","price":{price},"stock_quantity":42,'
        f'"discount":"8.50","created_at":"2025-12-01T00:00:00.000000+00:00",'
        f'"updated_at":"2026-01-01T00:00:{second:02d}.123456+00:00"}},"old_price":null}}'
    ).encode()


def other_producers_bytes(second: int) -> bytes:
    """Return an event as another program may write it: recognised all the same.

    The order is another, with spaces, characters beyond ASCII, milliseconds and unknown fields.
    """
    return (
        f'{{"schemaVersion": 3, "product": {{"updated_at": "2026-01-01T00:00:{second:02d}.123Z", '
        f'"created_at": "2025-12-01T00:00:00.000Z", "discount": "8.50", "stock_quantity": 42, '
        f'"price": "84.99", "description": "Wasserkocher für jeden Tag", '
        f'"product_name": "Café-Kessel 17 für Küche", "category": "Kitchen", "product_id": 17}}, '
        f'"old_price": null, "timestamp": "2026-01-01T00:00:{second:02d}.123+00:00", '
        f'"action": "updated", "event_id": "evt_17_{second}", '
        f'"source": {{"app": "erp", "host": "a1"}}}}'
    ).encode()


def _facts(value: bytes) -> EntityFacts:
    facts = facts_of(CODEC, KEY, value, CLOCK.text)
    if not isinstance(facts, EntityFacts):
        raise AssertionError(facts)  # noqa: TRY004 - the events are ours
    return facts


def _whole(value: bytes) -> tuple[NormalEvent, Whole]:
    event = CODEC.read(KEY, value)
    if not isinstance(event, NormalEvent):
        raise AssertionError(event)  # noqa: TRY004 - as above
    whole = CODEC.whole(event, None)
    if not isinstance(whole, Whole):
        raise AssertionError(whole)  # noqa: TRY004 - as above
    return event, whole


def _state(value: bytes) -> State:
    decision = decide_on(_facts(value), None, Position(0, 1), CLOCK, RULES)
    if decision.outcome is not Outcome.CHANGE or decision.state is None:
        raise AssertionError(decision)
    return decision.state


class _Record(NamedTuple):
    """A record of the source topic."""

    offset: int
    key: bytes
    value: bytes


def _events(offset: int, second: int, price: str) -> list[_Record]:
    """Return an event of each product of a batch."""
    value = event_bytes(second, price=f'"{price}"')
    return [
        _Record(offset, b"%d" % i, value.replace(b'"product_id":17', b'"product_id":%d' % i))
        for i in range(1, BATCH + 1)
    ]


def _batch(strategy: Strategy, *, again: bool) -> Step:
    """Return the decisions on a batch of products that each had some events before.

    `again`: the events are the last ones, sent again; else each has a new id and new content.
    """
    window_us = None if strategy == "latest" else WINDOW_US
    rules = replace(RULES, strategy=strategy, window_us=window_us)
    known: dict[Id, State] = {}
    for number in range(EVENTS_BEFORE):
        decide_batch(_events(number, number, f"{10 + number}.00"), known, 0, CLOCK, rules)
    last = EVENTS_BEFORE - 1
    second, price = (last, f"{10 + last}.00") if again else (30, "99.00")
    records = _events(EVENTS_BEFORE, second, price)
    outcome = Outcome.DUPLICATE if again else Outcome.CHANGE
    if decide_batch(records, dict(known), 0, CLOCK, rules).outcomes != {outcome: BATCH}:
        raise AssertionError(strategy)
    return lambda: decide_batch(records, dict(known), 0, CLOCK, rules)


def batches() -> Mapping[str, Step]:
    """Return the decisions on batches by strategy; they are of `BATCH` events."""
    return {
        f"decide, event of a batch, {strategy}: {what}": _batch(strategy, again=again)
        for strategy in get_args(Strategy)
        for what, again in (("change", False), ("duplicate", True))
    }


def steps() -> Mapping[str, Step]:
    """Return the steps by name, each ready to be called again and again.

    Reading the plain form writes its row too, and deciding finds it written.
    """
    plain, other_form = event_bytes(10), event_bytes(10, price="84.990")
    other_producers = other_producers_bytes(10)
    new, known, later = _facts(plain), _state(plain), Position(0, 2)
    duplicate, stale = _facts(event_bytes(20)), _facts(event_bytes(5))
    change = _facts(event_bytes(20, price='"79.99"'))
    event, whole = _whole(plain)
    headers, row, data = output_headers(known), known.row, encode_state(known)
    return {
        "read key, once per product": lambda: CODEC.keys.read(KEY),
        "parse, plain form": lambda: CODEC.recognise(KEY, plain, CLOCK.text),
        "parse, plain form, in Python": lambda: PURE.recognise(KEY, plain, CLOCK.text),
        "parse, other producer": lambda: CODEC.recognise(KEY, other_producers, CLOCK.text),
        "parse, other producer, in Python": lambda: PURE.recognise(
            KEY, other_producers, CLOCK.text
        ),
        "parse and normalise, any other form": lambda: CODEC.read(KEY, other_form),
        "fingerprint": lambda: CODEC.fingerprint(whole.canonical),
        "decide: new product": lambda: decide_on(new, None, later, CLOCK, RULES),
        "decide: change": lambda: decide_on(change, known, later, CLOCK, RULES),
        "decide: duplicate": lambda: decide_on(duplicate, known, later, CLOCK, RULES),
        "decide: stale": lambda: decide_on(stale, known, later, CLOCK, RULES),
        "encode row": lambda: CODEC.row(event, whole, CLOCK.text),
        "encode key and headers": lambda: (
            CODEC.keys.write(17, "json"),
            output_headers(known),
        ),
        "encode state": lambda: encode_state(known),
        "decode state": lambda: decode_state(data),
        "recover state from record": lambda: CODEC.state_from_record(row, headers, 0),
    }


def short() -> None:
    """Print the best of a few repeats of every step, in CPU time."""
    for some, events in ((steps(), 1), (batches(), BATCH)):
        for name, step in some.items():
            loops = SHORT_LOOPS // events
            best = min(timeit.repeat(step, timer=process_time, repeat=SHORT_REPEATS, number=loops))
            each_us = best / loops / events * 1e6
            print(f"{name:44} {each_us:7.2f} µs")  # noqa: T201 - this is the output


def main() -> None:
    """Time every step."""
    if sys.argv[1:] == ["--short"]:
        short()
        return
    import pyperf  # noqa: PLC0415 - the group bench; the short form does without

    runner = pyperf.Runner(program_args=("-m", "benchmarks.micro"))
    for name, step in steps().items():
        runner.bench_func(name, step)
    for name, step in batches().items():
        runner.bench_func(name, step, inner_loops=BATCH)


if __name__ == "__main__":
    main()
