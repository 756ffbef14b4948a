"""Fuzzed records of `src_products` and bytes of states: recovery reads what anyone wrote there."""

import json
import time
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import settings as settings_of
from hypothesis import strategies as st

from dedup.core.decide import Outcome, Position, decide
from dedup.core.fingerprint import FINGERPRINT_BYTES
from dedup.core.records import (
    EVENT_TIME_HEADER,
    FINGERPRINT_HEADER,
    SOURCE_HEADER,
    STATE_HEADER,
    output_headers,
)
from dedup.core.state import State, UnknownLayoutError, decode_state, encode_state
from tests.core.records import EVENT, event_json
from tests.core.runs import CLOCK
from tests.fuzz import hostile
from tests.golden.files import golden
from tests.support.products import CODEC, rules
from tests.support.state_header import StateHeader

MANY = settings_of(max_examples=400, deadline=None)
LONG = st.integers(-(2**63), 2**63 - 1)
FINGERPRINT = bytes(range(FINGERPRINT_BYTES)).hex().encode()
NUMBERS = st.sampled_from([b"", b"-1", b"0", b" 1", b"1_0", b"9" * 5000, b"1e3", b"\xff", None])


def rows() -> st.SearchStrategy[bytes | None]:
    """Rows as anyone may write them: the fields of a product at the outermost level."""

    @st.composite
    def flat(draw: st.DrawFn) -> bytes:
        tokens = {name: json.dumps(value) for name, value in EVENT["product"].items()}
        tokens["last_event_timestamp"] = json.dumps(EVENT["timestamp"])
        names = st.sampled_from([*tokens, "last_old_price", "extra"])
        tokens |= draw(st.dictionaries(names, st.sampled_from(hostile.HOSTILE), max_size=2))
        return ("{" + ",".join(f'"{n}":{t}' for n, t in tokens.items()) + "}").encode()

    return flat() | hostile.values()


def headers() -> st.SearchStrategy[list[tuple[str, bytes | None]]]:
    """Headers in our names with any content, among others."""
    numbers = LONG.map(lambda n: b"%d" % n) | st.integers().map(lambda n: b"%d" % n) | NUMBERS
    sources = st.tuples(st.integers(-2, 2**31), LONG).map(lambda pair: b"%d/%d" % pair)
    sources |= st.sampled_from([b"/", b"1/2/3", b"0/" + b"9" * 5000, b"0/0"])
    packed = st.builds(
        StateHeader,
        st.sampled_from([0, 1, 1, 2, 255]),
        st.binary(min_size=FINGERPRINT_BYTES, max_size=FINGERPRINT_BYTES),
        LONG,
        st.integers(-(2**31), 2**31 - 1),
        LONG,
        st.integers(0, 2**32 - 1),
    ).map(lambda header: header.packed)
    packed |= st.tuples(packed, st.integers(0, 46)).map(lambda pair: pair[0][: pair[1]])
    packed |= st.tuples(packed, st.binary()).map(b"".join)
    prints = st.sampled_from([FINGERPRINT, FINGERPRINT[:-2], b"", b"zz", "\u0661".encode(), None])
    return st.lists(
        st.tuples(st.just(STATE_HEADER), packed | st.binary() | st.none())
        | st.tuples(st.just(EVENT_TIME_HEADER), numbers | st.binary())
        | st.tuples(st.just(SOURCE_HEADER), sources | st.binary())
        | st.tuples(st.just(FINGERPRINT_HEADER), prints | st.binary())
        | st.tuples(st.text(), st.none() | st.binary()),
        max_size=6,
    )


@given(value=rows(), headers=headers(), timestamp_ms=LONG)
@MANY
@example(value=None, headers=[], timestamp_ms=-(2**63))
def test_a_record_of_the_output_is_a_state_or_nothing(
    value: bytes | None, headers: list[tuple[str, bytes | None]], timestamp_ms: int
) -> None:
    """And such a state can be kept, decided upon, and written again."""
    found: list[tuple[str, bytes]] = headers  # type: ignore[assignment]  # Kafka allows null
    begun = time.thread_time()
    state = CODEC.state_from_record(value, found, timestamp_ms)
    assert time.thread_time() - begun < 1
    if state is None:
        assert value is not None
        return
    assert decode_state(encode_state(state)) == state
    again = CODEC.state_from_record(value, output_headers(state), state.emitted_at // 1000)
    assert again == state or (value is not None and not headers)
    for later in (CODEC.read(b"1", event_json()), CODEC.read(b"1", None)):
        decision = decide(later, state, Position(0, 10), CLOCK, rules())
        assert decision.outcome in Outcome
        if decision.state is not None:
            encode_state(decision.state)


@given(key=hostile.keys() | hostile.values())
@MANY
def test_a_key_of_the_output_is_a_product_or_nothing(key: bytes | None) -> None:
    product_id = CODEC.keys.read_output(key)
    assert product_id is None or (isinstance(product_id, int) and 1 <= product_id < 2**63)


def decoded(data: bytes) -> State | None:
    """A state, or nothing where the bytes are none; any other error is the fuzzer's find."""
    try:
        return decode_state(data)
    except UnknownLayoutError:
        return None


@given(data=st.binary(max_size=200))
@MANY
def test_any_bytes_are_a_state_or_of_an_unknown_layout(data: bytes) -> None:
    state = decoded(data)
    assert state is None or encode_state(state) == data


def test_ten_thousand_mutilated_states_are_states_or_of_an_unknown_layout() -> None:
    random = Random(7)
    seeds = [file.bytes("bytes") or b"" for file in golden("states")]
    for _ in range(10_000):
        data = hostile.mutilated(random, random.choice(seeds), random.choice(seeds))
        state = decoded(data)
        assert state is None or encode_state(state) == data


@pytest.mark.parametrize("value", [b"", b"\xff", b"[" * 100_000, b'{"product_id":1e400}'])
def test_a_row_that_cannot_be_read_is_no_state(value: bytes) -> None:
    assert CODEC.state_from_record(value, [], 0) is None


@given(value=hostile.values())
@MANY
def test_a_state_whose_row_is_damaged_is_replaced_by_the_next_event(value: bytes | None) -> None:
    """Our headers vouch for a row nobody has read; what an event says of itself still counts."""
    row = value or b""
    vouched = [
        (EVENT_TIME_HEADER, b"1"),
        (SOURCE_HEADER, b"0/1"),
        (FINGERPRINT_HEADER, FINGERPRINT),
    ]
    state = CODEC.state_from_record(row, vouched, 0)
    assert state is not None
    decision = decide(CODEC.read(b"1", event_json()), state, Position(0, 2), CLOCK, rules())
    assert decision.outcome in (Outcome.CHANGE, Outcome.DUPLICATE)
    partial = CODEC.read(b"1", event_json({"product.price": None}))
    assert decide(partial, state, Position(0, 2), CLOCK, rules()).outcome in Outcome
