"""A dead letter that is larger than its topic takes: what is kept of it, and what it says."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.dead_letter import (
    EXCERPT_BYTES,
    SMALLEST_LIMIT_BYTES,
    AnyHeader,
    DeadLetter,
    LetterRecord,
    Reason,
    dead_letter_headers,
    fitting,
)

LONGEST_TOPIC = "t" * 249


def added(message: str = "It is bad.", topic: str = "products") -> list[tuple[str, bytes]]:
    letter = DeadLetter(Reason.PARTIAL_WITHOUT_STATE, message)
    return dead_letter_headers(letter, topic=topic, partition=2**31 - 1, offset=2**63 - 1)


def written(letter: LetterRecord) -> int:
    """Return the bytes of the record batch that Kafka's client makes of it."""
    builder = DefaultRecordBatchBuilder(2, 0, 1, 0, 0, 0, 2**30)
    headers = list(letter.headers)
    assert builder.append(0, 2**41, key=letter.key, value=letter.value, headers=headers)
    return len(builder.build())


def test_what_fits_is_left_as_it_is() -> None:
    letter = fitting(b"1", b"x" * 900, [("trace", None)], added(), 4096)
    assert letter == (b"1", b"x" * 900, [("trace", None), *added()])


def test_of_a_value_that_does_not_fit_the_first_bytes_are_kept_and_its_size_is_told() -> None:
    value = bytes(range(256)) * 8
    letter = fitting(b"1", value, [("trace", b"abc")], added(), 1500)
    assert letter.value is not None
    assert 300 < len(letter.value) < 2048
    assert value.startswith(letter.value)
    assert letter.headers == [
        ("trace", b"abc"),
        *added(),
        ("dedup.errors.truncated", b"value"),
        ("dedup.errors.value.size", b"2048"),
    ]
    assert written(letter) <= 1500


def test_an_excerpt_is_bounded_whatever_the_topic_takes() -> None:
    letter = fitting(b"1", b"x" * 5_000_000, [], added(), 4_000_000)
    assert letter.value == b"x" * EXCERPT_BYTES


@pytest.mark.parametrize("value", [None, b"small"])
def test_headers_that_do_not_fit_are_left_out_and_the_value_stays(value: bytes | None) -> None:
    headers: list[AnyHeader] = [("h", b"x" * 100)] * 100
    letter = fitting(b"1", value, headers, added(), 4096)
    assert letter == (b"1", value, [*added(), ("dedup.errors.truncated", b"headers")])


def test_a_key_that_does_not_fit_keeps_its_first_bytes() -> None:
    letter = fitting(b"k" * 5000, None, [], added(), 2048)
    assert letter.key is not None
    assert 200 < len(letter.key) < 2048
    assert letter.headers[-1] == ("dedup.errors.truncated", b"key")


_headers = st.lists(
    st.tuples(st.text(max_size=300), st.none() | st.binary(max_size=3000)), max_size=20
)


@given(
    st.none() | st.binary(max_size=5000),
    st.none() | st.binary(max_size=5000),
    _headers,
    st.text(max_size=3000),
    st.sampled_from([SMALLEST_LIMIT_BYTES, 1500, 4000, 16_000]),
)
def test_every_letter_fits_its_limit_and_says_exactly_what_is_missing(
    key: bytes | None,
    value: bytes | None,
    headers: list[AnyHeader],
    message: str,
    limit: int,
) -> None:
    letter = fitting(key, value, headers, added(message, LONGEST_TOPIC), limit)
    assert written(letter) <= limit
    told = dict(letter.headers[len(letter.headers) - 2 :])
    missing = (told.get("dedup.errors.truncated") or b"").split(b",")
    assert (letter.key == key) == (b"key" not in missing)
    assert (letter.value == value) == (b"value" not in missing)
    kept = list(letter.headers[: len(headers)]) == headers
    assert kept or b"headers" in missing
