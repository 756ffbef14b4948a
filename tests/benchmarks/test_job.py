"""The job of the Python peers is the deduplicator's: same input, same emissions."""

from collections import defaultdict
from datetime import UTC, datetime
from itertools import islice

import orjson
import pytest

from benchmarks.peers.job import decide
from dedup.demo.example import History
from producer.events import EventGenerator, Mix
from producer.oracle import Oracle


@pytest.mark.parametrize("seed", range(5))
def test_the_peers_emit_what_the_oracle_emits(seed: int) -> None:
    """Late events, deletes and duplicates in plenty: no peer wins by leaving out a rule."""
    mix = Mix(products=20, duplicates=0.3, late=0.2, deletes=0.1)
    oracle = Oracle()
    known: dict[int, str] = {}
    emitted: History = defaultdict(list)
    events = EventGenerator(seed, lambda: datetime(2026, 1, 1, tzinfo=UTC), mix)
    for generated in islice(events, 3000):
        oracle.feed([(generated.key, generated.value)])
        event = orjson.loads(generated.value or b"")
        product_id = event["product"]["product_id"]
        decision = decide(event, known.get(product_id), "now")
        if decision is None:
            continue
        known[product_id] = decision.state
        if decision.emit:
            row = decision.row
            emitted[product_id].append(None if row is None else row["last_event_id"])
    assert oracle.outcomes["stale"] > 100
    assert oracle.outcomes["tombstone"] > 50
    assert emitted == oracle.emitted
