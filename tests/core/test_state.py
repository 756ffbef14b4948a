"""States as they are stored: layout 1, byte for byte."""

import pytest
from hypothesis import given
from msgspec import structs

from dedup.core.state import (
    NO_EVENT_TIME,
    UNKNOWN_SOURCE,
    State,
    UnknownLayoutError,
    decode_state,
    encode_state,
)
from tests.core.histories import MANY
from tests.core.states import states

GOLDEN = State(bytes(range(1, 22)), 0x0102030405060708, 3, 2**40, 0x1112131415161718, 7, b'{"a":1}')
GOLDEN_BYTES = bytes.fromhex(
    "01" "00" "0102030405060708090a0b0c0d0e0f101112131415"
    "0102030405060708" "00000003" "0000010000000000" "1112131415161718" "00000007"
) + b'{"a":1}'  # fmt: skip
DELETED = State(bytes(21), NO_EVENT_TIME, UNKNOWN_SOURCE, UNKNOWN_SOURCE, 1, 0, None)
DELETED_BYTES = bytes.fromhex(
    "01" "01" + "00" * 21 + "8000000000000000" "ffffffff" "ffffffffffffffff"
    "0000000000000001" "00000000"
)  # fmt: skip


@given(state=states)
@MANY
def test_a_state_is_read_back_as_it_was_written(state: State) -> None:
    assert decode_state(encode_state(state)) == state


@pytest.mark.parametrize(("state", "data"), [(GOLDEN, GOLDEN_BYTES), (DELETED, DELETED_BYTES)])
def test_layout_1_stays_as_it_is(state: State, data: bytes) -> None:
    """Databases outlive releases: another layout has another version byte."""
    assert encode_state(state) == data
    assert decode_state(data) == state


def test_duplicates_are_counted_up_to_what_the_layout_holds() -> None:
    many = structs.replace(GOLDEN, duplicates=2**40)
    assert decode_state(encode_state(many)).duplicates == 2**32 - 1


def test_bytes_that_are_no_state_of_this_layout_are_refused() -> None:
    head = len(DELETED_BYTES)
    damaged = [GOLDEN_BYTES[:length] for length in range(head)]
    damaged += [bytes([version]) + GOLDEN_BYTES[1:] for version in range(256) if version != 1]
    for data in damaged:
        with pytest.raises(UnknownLayoutError):
            decode_state(data)


def test_flags_that_layout_1_does_not_have_are_refused() -> None:
    """Also a deleted product with a row: whoever wrote that knew something we don't."""
    for data in (b"\x01\x02" + GOLDEN_BYTES[2:], DELETED_BYTES + b"{}"):
        with pytest.raises(UnknownLayoutError):
            decode_state(data)
