"""What the log says of the reader of events, on which their rate depends."""

from typing import Literal

import pytest

from dedup import rules
from dedup.core.codec import Codec
from dedup.core.recogniser import IS_COMPILED
from dedup.rules import how_events_are_read
from tests.core.orders import DEBEZIUM, FLAT


@pytest.mark.parametrize("compiled", [True, False])
def test_the_reader_of_flat_rows_is_the_one_that_was_built(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "IS_COMPILED", compiled and IS_COMPILED)
    said = how_events_are_read(Codec(FLAT, compiled=compiled))
    built = compiled and IS_COMPILED
    assert said == (
        "Each event is of the entity order and is recognised by compiled code."
        if built
        else "Each event is of the entity order and is recognised by Python code: without a C "
        "compiler there is no faster one."
    )


def test_an_envelope_without_a_compiled_form_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "IS_COMPILED", True)
    assert how_events_are_read(Codec(DEBEZIUM)).endswith("as its envelope has no compiled form.")


@pytest.mark.parametrize("unknown", ["pass"])
def test_events_whose_unknown_fields_pass_are_read_by_pydantic(unknown: Literal["pass"]) -> None:
    said = how_events_are_read(Codec(FLAT, unknown_fields=unknown))
    assert "read by pydantic" in said
