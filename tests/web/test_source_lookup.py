"""The last event of a row whose events have no id is told by its time."""

from pathlib import Path

import pytest

from dedup.core.decide import Position, ProcessingTime, decide
from dedup.core.state import State
from dedup.web.source_lookup import result_from_record
from tests.support.records import record
from tests.web.orders import order
from tests.web.shelves import Shelf

LATER = ProcessingTime(2_000_000_000_000_000, "2033-05-18T03:33:20.000000Z")
"""After the timestamp of the records: they were decided on in the batch of the row's emission."""


@pytest.mark.parametrize(
    ("events", "outcome", "why"),
    [
        ([order("AB-1", 1)], "change", "This event wrote the row"),
        ([order("AB-1", 1), order("AB-1", 2)], "duplicate", "No content field differs"),
        ([order("AB-1", 1), order("AB-1", 2, status="paid")], "change", "This event wrote"),
        ([order("AB-1", 1), None], "tombstone", "deleted the order"),
    ],
)
async def test_the_last_event_of_a_flat_row_is_explained(
    tmp_path: Path, events: list[bytes | None], outcome: str, why: str
) -> None:
    shelf = Shelf(tmp_path / "state", "tests.web.orders:ORDER")
    rules = shelf.app.deduplicator.rules
    state: State | None = None
    for offset, value in enumerate(events):
        event = rules.codec.read(b"AB-1", value)
        state = decide(event, state, Position(0, offset), LATER, rules).state
    assert state is not None
    last = record(len(events) - 1, events[-1], b"AB-1")
    found = result_from_record(last, "AB-1", state, shelf.app.deduplicator)
    assert found is not None
    assert (found.outcome, found.emits) == (outcome, outcome != "duplicate")
    assert why in found.why
    assert result_from_record(last, "AB-2", state, shelf.app.deduplicator) is None
    await shelf.close()
