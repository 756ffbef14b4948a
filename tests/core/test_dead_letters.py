"""Dead letters: the headers they travel with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.dead_letter import DeadLetter, Reason, dead_letter_headers
from dedup.core.decide import Outcome, Position, decide
from tests.core.histories import MANY
from tests.core.records import event_json
from tests.core.runs import CLOCK
from tests.support.products import CODEC, rules


def test_a_dead_letter_says_why_and_whence_in_the_names_of_kip_1034() -> None:
    dead_letter = DeadLetter(Reason.KEY_MISMATCH, "Der Schl\u00fcssel ist '2'.")
    headers = dead_letter_headers(dead_letter, topic="products", partition=3, offset=2**40)
    names = [name for name, _ in headers]
    assert len(names) == len(set(names))
    found = dict(headers)
    assert "key_mismatch" in found.pop("__streams.errors.exception").decode()
    assert found == {
        "__streams.errors.message": "Der Schl\u00fcssel ist '2'.".encode(),
        "__streams.errors.topic": b"products",
        "__streams.errors.partition": b"3",
        "__streams.errors.offset": b"1099511627776",
        "dedup.errors.reason": b"key_mismatch",
    }


@pytest.mark.parametrize("reason", list(Reason))
def test_the_reason_header_is_the_name_of_the_metric_label(reason: Reason) -> None:
    headers = dict(dead_letter_headers(DeadLetter(reason, ""), topic="t", partition=0, offset=0))
    assert headers["dedup.errors.reason"] == reason.value.encode()


def test_the_reasons_are_those_of_the_design() -> None:
    named = {"key_missing", "key_mismatch", "partial_without_state", "unknown_action"}
    named |= {"row_too_large"}
    assert named <= {reason.value for reason in Reason}
    assert {"invalid_json", "invalid_event"} == {reason.value for reason in Reason} - named


@given(message=st.text(st.characters(exclude_categories=())))
@MANY
def test_any_message_can_be_a_header(message: str) -> None:
    """Lone surrogates too: a message may quote what can't be read."""
    dead_letter = DeadLetter(Reason.INVALID_EVENT, message)
    headers = dict(dead_letter_headers(dead_letter, topic="t", partition=0, offset=0))
    assert (
        headers["__streams.errors.message"].decode()
        == message.encode(errors="backslashreplace").decode()
    )


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        (None, event_json(), "key"),
        (b"2", event_json(), "product_id is 1"),
        (b"1", b"{", "JSON"),
        (b"1", event_json({"product.price": '"-1"'}), "product.price"),
        (b"1", event_json({"timestamp": None}), "timestamp"),
        (b"1", event_json({"action": '"created"', "product.price": None}), "price"),
        (b"1", event_json({"product.price": None}), "price"),
        (b"x", None, "'x'"),
    ],
)
def test_the_message_names_what_is_at_fault(
    key: bytes | None, value: bytes | None, named: str
) -> None:
    decision = decide(CODEC.read(key, value), None, Position(0, 0), CLOCK, rules())
    assert decision.outcome is Outcome.DEAD_LETTER
    assert decision.state is None
    assert decision.dead_letter is not None
    assert named in decision.dead_letter.message


def test_a_message_does_not_repeat_the_content() -> None:
    """Headers go further than values: into logs and alerts."""
    read = CODEC.read(b"1", event_json({"product.price": '"secret-price"'}))
    assert isinstance(read, DeadLetter)
    assert "secret" not in read.message
