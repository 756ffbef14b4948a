"""A stack counts for the innermost part that is named."""

import pytest

from benchmarks.flame import CLIENT, OTHER, shares

LOOP = "run_forever (asyncio/base_events.py:603);apply (dedup/streaming/processor.py:141)"
DECIDE = f"{LOOP};_decide (dedup/streaming/processor.py:180)"
APPLY = "decide (dedup/core/decide.py:99);_apply (dedup/core/decide.py:150)"


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        (f"{DECIDE};read_value (dedup/core/read.py:62)", "read events: parse, validate, normalise"),
        (f"{DECIDE};{APPLY};encode_row (dedup/core/row.py:90)", "decide: fingerprint, row"),
        (
            f"{DECIDE};read (dedup/state/table.py:9);read (dedup/state/store.py:151)",
            "known states: at hand, from RocksDB",
        ),
        (
            f"{LOOP};_append (dedup/streaming/publisher.py:245);append (aiokafka/producer/a.py:56)",
            "append rows to record batches",
        ),
        (f"{LOOP};send (aiokafka/conn.py:420)", CLIENT),
        (DECIDE, "the agent's loop around them"),
        (f"{LOOP};_run_once (asyncio/base_events.py:1922)", OTHER),
    ],
)
def test_a_stack_counts_for_its_innermost_part(stack: str, part: str) -> None:
    assert shares([f"{stack} 3"]) == {part: 1.0}


def test_shares_are_of_all_samples() -> None:
    found = shares([f"{DECIDE} 3", f"{LOOP} 1"])
    assert found == {"the agent's loop around them": 0.75, OTHER: 0.25}
