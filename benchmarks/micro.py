"""What does each step of the core cost? `make bench-micro`.

Each step is timed alone, by pyperf, so that a regression is seen where it happens; options after
`ARGS=` are pyperf's (`--fast`, `-o file.json`, and `python -m pyperf compare_to` for two files).
`--short` takes seconds, needs no pyperf, and is what CI prints. Nothing is asserted about time.
"""

import sys
import timeit
from collections.abc import Callable, Mapping
from typing import Final

from dedup.core.codec import Codec, Whole
from dedup.core.codecs import codec_for
from dedup.core.decide import Outcome, Position, ProcessingTime, Rules
from dedup.core.facts import EntityFacts, decide_on, facts_of
from dedup.core.normal_event import NormalEvent
from dedup.core.records import output_headers
from dedup.core.state import State, decode_state, encode_state
from dedup.entities.product import PRODUCT

Step = Callable[[], object]

KEY: Final = b"17"
CLOCK: Final = ProcessingTime(1_767_225_600_000_000, "2026-01-01T00:00:00.000000Z")
CODEC: Final = codec_for(PRODUCT)
PURE: Final = Codec(PRODUCT, compiled=False)
RULES: Final = Rules(codec=CODEC)
SHORT_REPEATS: Final = 5
SHORT_LOOPS: Final = 2_000


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


def steps() -> Mapping[str, Step]:
    """Return the steps by name, each ready to be called again and again.

    Reading the plain form writes its row too, and deciding finds it written.
    """
    plain, other_form = event_bytes(10), event_bytes(10, price="84.990")
    new, known, later = _facts(plain), _state(plain), Position(0, 2)
    duplicate, stale = _facts(event_bytes(20)), _facts(event_bytes(5))
    change = _facts(event_bytes(20, price='"79.99"'))
    event, whole = _whole(plain)
    headers, row, data = output_headers(known), known.row, encode_state(known)
    return {
        "read key, once per product": lambda: CODEC.keys.read(KEY),
        "parse, plain form": lambda: CODEC.recognise(KEY, plain, CLOCK.text),
        "parse, plain form, in Python": lambda: PURE.recognise(KEY, plain, CLOCK.text),
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
    """Print the best of a few repeats of every step."""
    for name, step in steps().items():
        best = min(timeit.repeat(step, repeat=SHORT_REPEATS, number=SHORT_LOOPS))
        print(f"{name:44} {best / SHORT_LOOPS * 1e6:7.2f} µs")  # noqa: T201 - this is the output


def main() -> None:
    """Time every step."""
    if sys.argv[1:] == ["--short"]:
        short()
        return
    import pyperf  # noqa: PLC0415 - the group bench; the short form does without

    runner = pyperf.Runner(program_args=("-m", "benchmarks.micro"))
    for name, step in steps().items():
        runner.bench_func(name, step)


if __name__ == "__main__":
    main()
