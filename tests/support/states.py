"""The states that workers left on their disks, and those of a model that saw every event once."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from dedup.core.state import State
from dedup.core.window import unpack_entries
from dedup.demo.example import LATEST, Choice
from dedup.entities.product import PRODUCT
from dedup.state.memory import Memory
from dedup.state.row_keys import RowKeys
from dedup.state.store import PartitionStore
from producer.example import oracle_of
from tests.support.topics import Records

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Known(NamedTuple):
    """What is known of a product after its last event that was applied."""

    event_id: str | None
    """Of the row; None if it is deleted."""

    newest_us: int
    offset: int
    duplicates: int
    seen_us: tuple[int, ...] = ()
    """When each content or event id was last counted that is remembered, within the window."""


States = dict[int, dict[int, Known]]
"""By partition and product_id."""


def expected_states(source: Records, choice: Choice = LATEST) -> States:
    """Return the states after all events, by the dictionary model of the producer."""
    return {partition: _modelled(records, choice) for partition, records in source.items()}


def _modelled(records: Iterable[object], choice: Choice) -> dict[int, Known]:
    oracle, known = oracle_of(choice), dict[int, Known]()
    for record in records:
        key, value, offset = record.key, record.value, record.offset  # type: ignore[attr-defined]
        outcome = oracle.judge(key, value)
        if outcome not in ("change", "refresh", "tombstone", "duplicate"):
            continue
        product_id = int(key)
        newest = oracle.newest(product_id)
        if newest is None:  # a null value for a product that never was
            continue
        before = known.get(product_id)
        duplicates = 0 if before is None else before.duplicates
        event_id = None if before is None else before.event_id
        if outcome in ("change", "refresh"):
            duplicates = 0 if event_id is None else duplicates
            event_id = json.loads(value)["event_id"]
        elif outcome == "tombstone":
            event_id = None
        else:
            duplicates += 1
        seen = oracle.remembered(product_id, newest).values()
        seen_us = () if choice.strategy == "latest" else tuple(map(_microseconds, seen))
        known[product_id] = Known(event_id, _microseconds(newest), offset, duplicates, seen_us)
    return known


def _microseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def states_on_disk(data_dirs: Iterable[Path], choice: Choice = LATEST) -> States:
    """Return the states of the workers that stopped: of each partition those that are furthest."""
    found: States = {}
    furthest: dict[int, int] = {}
    memory, keys = Memory(), RowKeys(PRODUCT)
    paths = [path for each in data_dirs for path in each.rglob("products-*") if path.is_dir()]
    for path in paths:
        partition = int(path.name.removeprefix("products-"))
        store = PartitionStore(path, memory, keys)
        offset = store.source_offset or 0
        if offset > furthest.get(partition, -1):
            furthest[partition] = offset
            found[partition] = {int(i): _known(state, choice) for i, state in store.items()}
        store.close()
    return found


def _known(state: State, choice: Choice) -> Known:
    event_id = None if state.row is None else json.loads(state.row)["last_event_id"]
    entries = unpack_entries(choice.strategy, state.remembered) or {}
    window_us = (choice.window_s or 0) * 1_000_000
    seen_us = tuple(at for at in entries.values() if state.event_time - at < window_us)
    return Known(event_id, state.event_time, state.offset, state.duplicates, seen_us)


def different_states(expected: Mapping[int, dict[int, Known]], found: States) -> list[str]:
    """Return a sentence for each product of which another state is on disk than is expected."""
    return [
        f"partition {partition}, product {i}: expected {wanted.get(i)}, found {have.get(i)}"
        for partition, wanted in expected.items()
        for have in [found.get(partition, {})]
        for i in sorted(wanted.keys() | have.keys())
        if wanted.get(i) != have.get(i)
    ]
