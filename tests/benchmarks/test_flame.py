"""A stack counts for the innermost part that is named."""

from pathlib import Path

import pytest

from benchmarks.flame import CLIENT, OTHER, PARTS, shares

ROOT = Path(__file__).parents[2]
LOOP = "run_forever (asyncio/base_events.py:603);apply (dedup/streaming/processor.py:141)"
DECIDE = f"{LOOP};_decide (dedup/streaming/processor.py:180)"
APPEND = f"{LOOP};append_states (dedup/streaming/appending.py:22);send (aiokafka/producer/a.py:5)"


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        (
            f"{DECIDE};decide_batch (dedup/core/batch.py:91);recognise (_recogniser.c:10)",
            "decide: recognise, fingerprint, rules",
        ),
        (
            f"{LOOP};read_many (dedup/state/table.py:9);in_memory (dedup/state/store.py:151)",
            "known states: in memory, from RocksDB",
        ),
        (
            f"{LOOP};write (dedup/state/store.py:180);flush (dedup/state/store.py:200)",
            "write states to RocksDB",
        ),
        (
            f"{APPEND};send_batch (aiokafka/producer/producer.py:56)",
            "append rows to record batches",
        ),
        (f"{LOOP};send (aiokafka/conn.py:420)", CLIENT),
        (DECIDE, "the processor around it"),
        (f"{LOOP};_run_once (asyncio/base_events.py:1922)", OTHER),
    ],
)
def test_a_stack_counts_for_its_innermost_part(stack: str, part: str) -> None:
    assert shares([f"{stack} 3"]) == {part: 1.0}


def test_shares_are_of_all_samples() -> None:
    found = shares([f"{DECIDE} 3", f"{LOOP} 1"])
    assert found == {"the processor around it": 0.75, OTHER: 0.25}


@pytest.mark.parametrize("sign", [sign for signs in PARTS.values() for sign in signs])
def test_a_part_names_a_function_that_there_is(sign: str) -> None:
    name, _, path = sign.partition(" (")
    assert f"def {name}(" in (ROOT / path).read_text("utf-8")
