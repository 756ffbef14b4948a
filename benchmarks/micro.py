"""What does each step of the core cost? `make bench-micro`.

Each step is timed alone, by pyperf, so that a regression is seen where it happens; options after
`ARGS=` are pyperf's (`--fast`, `-o file.json`, and `python -m pyperf compare_to` for two files).
`--short` takes seconds, needs no pyperf, and is what CI prints. Nothing is asserted about time.
"""

import sys
import timeit
from collections.abc import Callable, Mapping
from typing import Final

from dedup.core.decide import Outcome, Position, ProcessingTime, Rules, decide
from dedup.core.event import Event
from dedup.core.read import read_event, read_key, read_value
from dedup.core.row import encode_row, output_headers, output_key, state_from_record
from dedup.core.state import State, decode_state, encode_state

Step = Callable[[], object]

KEY: Final = b"17"
CLOCK: Final = ProcessingTime(1_767_225_600_000_000, "2026-01-01T00:00:00.000000Z")
RULES: Final = Rules()
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


def _event(value: bytes) -> Event:
    event = read_event(KEY, value)
    if not isinstance(event, Event):
        raise AssertionError(event)  # noqa: TRY004 - the events are ours
    return event


def _state(value: bytes) -> State:
    decision = decide(_event(value), None, Position(0, 1), CLOCK, RULES)
    if decision.outcome is not Outcome.CHANGE or decision.state is None:
        raise AssertionError(decision)
    return decision.state


def steps() -> Mapping[str, Step]:
    """Return the steps by name, each ready to be called again and again."""
    plain, other_form = event_bytes(10), event_bytes(10, price="84.990")
    event, known, later = _event(plain), _state(plain), Position(0, 2)
    duplicate, stale = _event(event_bytes(20)), _event(event_bytes(5))
    change = _event(event_bytes(20, price='"79.99"'))
    headers, row, data = output_headers(known), known.row, encode_state(known)
    return {
        "read key, once per product": lambda: read_key(KEY),
        "parse, plain form": lambda: read_value(KEY, 17, plain),
        "parse and normalise, any other form": lambda: read_value(KEY, 17, other_form),
        "fingerprint": lambda: RULES.scheme.fingerprint(event.product),
        "decide: new product": lambda: decide(event, None, later, CLOCK, RULES),
        "decide: change": lambda: decide(change, known, later, CLOCK, RULES),
        "decide: duplicate": lambda: decide(duplicate, known, later, CLOCK, RULES),
        "decide: stale": lambda: decide(stale, known, later, CLOCK, RULES),
        "encode row": lambda: encode_row(event, event.product, CLOCK.text),
        "encode key and headers": lambda: (output_key(17, "json"), output_headers(known)),
        "encode state": lambda: encode_state(known),
        "decode state": lambda: decode_state(data),
        "recover state from record": lambda: state_from_record(row, headers, 0, RULES.scheme),
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
