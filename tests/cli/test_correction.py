"""`--set PATH=VALUE`: what is set in an event, and what stays as it was."""

import pytest

from dedup.dlq.correction import Assignment, Correction
from dedup.dlq.record import DeadLetterRecord
from dedup.kafka.topic_reader import ReadError


def corrected(value: bytes | None, *assignments: str) -> bytes | None:
    made = tuple(map(Assignment.read, assignments))
    return Correction(assignments=made).apply(DeadLetterRecord(0, 1, 0, b"1", value, ()))[1]


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("a=1", b'{"a":1}'),
        ("a=12.00", b'{"a":12.00}'),
        ('a="1"', b'{"a":"1"}'),
        ("a=null", b'{"a":null}'),
        ("a=text of many words = more", b'{"a":"text of many words = more"}'),
        ("a=", b'{"a":""}'),
        ("a=NaN", b'{"a":"NaN"}'),
        ('a={"b":[1]}', b'{"a":{"b":[1]}}'),
        ("a.b.c=1", b'{"a":{"b":{"c":1}}}'),
        ("$.a.b=1", b'{"a":{"b":1}}'),
    ],
)
def test_a_value_is_json_where_it_can_be_read_as_such_and_else_text(
    assignment: str, value: bytes
) -> None:
    assert corrected(b"{}", assignment) == value


def test_what_is_not_named_keeps_its_place_and_every_digit() -> None:
    event = '{"z":10.000000000000000001,"y":{"n":1.50,"ü":"ß"},"list":[1,{"x":2}]}'.encode()
    assert corrected(event, "y.n=7", "list.1.x=3") == (
        '{"z":10.000000000000000001,"y":{"n":7,"ü":"ß"},"list":[1,{"x":3}]}'.encode()
    )


@pytest.mark.parametrize(
    ("value", "assignment", "words"),
    [
        (b"{", "a=1", "The value of 0:1 is not JSON"),
        (None, "a=1", "The value of 0:1 is not JSON"),
        (b'{"a":5}', "a.b=1", "--set a.b: the event has no object there, but int '5'"),
        (b"[1]", "5=1", "--set 5: the list there has no item 5"),
        (b"[1]", "x.y=1", "--set x.y: the list there has no item x"),
    ],
)
def test_what_can_t_be_set_is_explained(value: bytes | None, assignment: str, words: str) -> None:
    with pytest.raises(ReadError) as refused:
        corrected(value, assignment)
    assert words in str(refused.value)


@pytest.mark.parametrize("text", ["", "a", "=1", "a..b=1", ".a=1"])
def test_an_assignment_needs_a_path_and_a_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Assignment.read(text or "-")
