"""The header of a record of `src_products`, packed and as earlier releases wrote it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from dedup.core.decide import Position, decide
from dedup.core.fingerprint import FINGERPRINT_BYTES
from dedup.core.records import output_headers
from dedup.core.state import (
    NO_EVENT_TIME,
    UNKNOWN_SOURCE,
    State,
    decode_state,
    encode_state,
)
from tests.core.histories import MANY
from tests.core.records import event_json
from tests.core.runs import CLOCK, NOW_MS
from tests.core.states import states
from tests.support.products import CODEC, rules
from tests.support.state_header import StateHeader, state_header, text_headers


def first_state() -> State:
    """The state after an event that is all that is known of product 1."""
    state = decide(CODEC.read(b"1", event_json()), None, Position(3, 17), CLOCK, rules()).state
    assert state is not None
    return state


ROW = first_state().row or b""


@given(state=states)
@MANY
def test_a_state_is_rebuilt_from_the_headers_of_its_record(state: State) -> None:
    emitted_at = NOW_MS * 1000
    if state.row is None:
        state = structs.replace(state, fingerprint=bytes(FINGERPRINT_BYTES))
    rebuilt = CODEC.state_from_record(state.row, output_headers(state), NOW_MS)
    assert rebuilt == structs.replace(state, emitted_at=emitted_at)


@given(state=states)
@MANY
def test_a_state_is_rebuilt_from_the_headers_of_an_earlier_release(state: State) -> None:
    """They have no count of duplicates."""
    if state.row is None:
        state = structs.replace(state, fingerprint=bytes(FINGERPRINT_BYTES))
    rebuilt = CODEC.state_from_record(state.row, text_headers(state), NOW_MS)
    assert rebuilt == structs.replace(state, emitted_at=NOW_MS * 1000, duplicates=0)


@given(state=states)
@MANY
def test_a_state_has_the_header_of_the_documented_layout(state: State) -> None:
    """A tombstone has those of earlier releases too, which know a row's time by the row."""
    fingerprint = bytes(FINGERPRINT_BYTES) if state.row is None else state.fingerprint
    header, *others = output_headers(state)
    assert state_header([header]) == StateHeader(
        *(1, fingerprint, state.event_time, state.partition, state.offset, state.duplicates)
    )
    assert others == ([] if state.row is not None else text_headers(state))


def test_more_duplicates_than_the_header_has_room_for_are_its_largest_number() -> None:
    state = first_state()
    state = structs.replace(state, duplicates=2**32 + 7)
    assert state_header(output_headers(state)).duplicates == 2**32 - 1


GOOD = StateHeader(1, bytes(range(1, 22)), 5, 3, 17, 2)


def test_what_follows_the_known_fields_is_ignored() -> None:
    """A later release may add fields: this one rebuilds the state from those it knows."""
    for more in (b"", b"\x00", b"\xff" * 100):
        state = CODEC.state_from_record(ROW, [("dedup.state", GOOD.packed + more)], NOW_MS)
        assert state == State(GOOD.fingerprint, 5, 3, 17, NOW_MS * 1000, 2, ROW)


@pytest.mark.parametrize(
    "header",
    [
        *(None, b"", b"\x01", GOOD.packed[:-1], GOOD._replace(version=0).packed),
        *(GOOD._replace(version=2).packed, GOOD._replace(version=2).packed + b"more"),
        *(GOOD._replace(partition=-2).packed, GOOD._replace(offset=-2).packed),
    ],
)
def test_a_packed_header_that_is_not_sane_is_no_header(header: bytes | None) -> None:
    """So is one of an unknown version. The headers of an earlier release count beside it."""
    row = ROW
    headers: list[tuple[str, bytes | None]] = [("dedup.state", header)]
    bare = CODEC.state_from_record(row, [], NOW_MS)
    assert CODEC.state_from_record(row, headers, NOW_MS) == bare
    state = first_state()
    both = [*headers, *text_headers(state)]
    assert CODEC.state_from_record(row, both, NOW_MS) == structs.replace(
        state, emitted_at=NOW_MS * 1000
    )
    assert CODEC.state_from_record(None, headers, NOW_MS) == CODEC.state_from_record(
        None, [], NOW_MS
    )


@given(header=st.binary(max_size=60), value=st.none() | st.just(ROW))
@MANY
def test_any_packed_header_gives_a_state_that_can_be_stored(
    header: bytes, value: bytes | None
) -> None:
    state = CODEC.state_from_record(value, [("dedup.state", b"\x01" + header)], NOW_MS)
    assert state is not None
    assert decode_state(encode_state(state)) == state


def test_a_tombstone_without_headers_is_a_deletion_without_a_time() -> None:
    """Flink's tombstones: the marker has the time of the record, for the retention of it."""
    state = CODEC.state_from_record(None, [], NOW_MS)
    assert state == State(
        bytes(21), NO_EVENT_TIME, UNKNOWN_SOURCE, UNKNOWN_SOURCE, NOW_MS * 1000, 0, None
    )


NAMES = ("dedup.event_time", "dedup.source", "dedup.fingerprint")
TIME_TEXTS = [
    b"5",
    b"-5",
    b"",
    b"x",
    b"1_0",
    b"9223372036854775807",
    b"9223372036854775808",
    b"9" * 5000,
]
SOURCE_TEXTS = [
    b"1/2",
    b"-1/-1",
    b"1",
    b"1/2/3",
    b"/",
    b"2147483648/1",
    b"1/9223372036854775808",
    b"x/1",
]
FINGERPRINT_TEXTS = [b"", b"00", b"01" * 21, b"01" * 22, b"0g", b"\xff", b"01 " * 21]


@given(
    texts=st.tuples(
        st.sampled_from(TIME_TEXTS) | st.binary(),
        st.sampled_from(SOURCE_TEXTS) | st.binary(),
        st.sampled_from(FINGERPRINT_TEXTS) | st.binary(),
    ),
    value=st.none() | st.just(ROW),
)
@MANY
def test_strange_headers_never_break_recovery(
    texts: tuple[bytes, bytes, bytes], value: bytes | None
) -> None:
    """A state comes of any headers, and can be stored: one record must not stop every start."""
    state = CODEC.state_from_record(value, list(zip(NAMES, texts, strict=True)), NOW_MS)
    assert state is not None
    assert decode_state(encode_state(state)) == state


@pytest.mark.parametrize("header", NAMES)
def test_a_null_header_is_no_header(header: str) -> None:
    """Kafka allows header values that are null."""
    state = first_state()
    headers = [(name, None if name == header else text) for name, text in text_headers(state)]
    rebuilt = CODEC.state_from_record(state.row, headers, NOW_MS)
    assert rebuilt == CODEC.state_from_record(state.row, [], NOW_MS)
