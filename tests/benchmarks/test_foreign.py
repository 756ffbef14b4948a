"""Other producers' forms say what our own producer says, and look different."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.foreign import FORMS, rewritten
from producer.events import EventGenerator, Mix
from producer.oracle import Oracle
from tests.support.topics import Records

MIX = Mix(products=50, duplicates=0.3, late=0.1, deletes=0.05)


def events(seed: int, number: int = 2000) -> Records:
    """Events of a partition, a millisecond and some microseconds apart."""
    ticks = count()
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    generator = EventGenerator(
        seed, lambda: begin + next(ticks) * timedelta(microseconds=1337), MIX
    )
    made = islice(generator, number)
    return {0: [SimpleNamespace(key=each.key, value=each.value) for each in made]}


def outcomes(records: Any) -> tuple[Any, Counter[str]]:
    """What the oracle makes of events."""
    oracle = Oracle()
    oracle.feed((record.key, record.value) for record in records)
    return oracle.emitted, oracle.outcomes


@pytest.mark.parametrize("seed", range(3))
def test_the_oracle_decides_on_them_as_on_our_own(seed: int) -> None:
    """The events are further apart than a millisecond, so cut times keep their order."""
    source = events(seed)
    assert outcomes(rewritten(source, seed)) == outcomes(source[0])


@pytest.mark.parametrize("form", FORMS)
def test_a_form_keeps_the_contract_and_nothing_else_of_our_bytes(form: Any) -> None:
    for record in events(1, 200)[0]:
        own = json.loads(record.value)
        written = form(own, Random(1))
        other = json.loads(written)
        assert written != record.value
        assert other.keys() - own.keys(), "it has fields that the contract does not name"
        for name in ("event_id", "action", "old_price"):
            assert other[name] == own[name]
        for name in ("product_id", "description", "price", "stock_quantity", "discount"):
            assert other["product"][name] == own["product"][name]
        early = datetime.fromisoformat(own["timestamp"]) - datetime.fromisoformat(
            other["timestamp"]
        )
        assert timedelta(0) <= early < timedelta(milliseconds=1)


def test_the_forms_are_mixed() -> None:
    """White space and none, escapes and UTF-8, both ways to write UTC, several orders."""
    values = [written.value or b"" for written in rewritten(events(1), 1)]
    shares = {
        "spaces": sum(b'": ' in value for value in values),
        "escapes": sum(b"\\u00" in value for value in values),
        "UTF-8": sum(not value.isascii() for value in values),
        "Z": sum(b'Z"' in value for value in values),
        "offset": sum(b"+00:00" in value for value in values),
    }
    assert all(0.1 < share / len(values) < 0.9 for share in shares.values()), shares
    assert len({tuple(json.loads(value)) for value in values}) == len(FORMS)
    names = [json.loads(value)["product"]["product_name"] for value in values]
    assert 0.1 < sum(name.isascii() for name in names) / len(names) < 0.4
