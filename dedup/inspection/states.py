"""The known states of products while a command runs: in memory, or in RocksDB on disk."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

from dedup.core.fingerprint import FingerprintScheme
from dedup.core.row import read_output_key, state_from_record
from dedup.core.state import State, with_known_time
from dedup.kafka.topic_reader import Spans, TopicReader
from dedup.state.memory import Memory
from dedup.state.store import PartitionStore


class States(Protocol):
    """States by partition and product_id."""

    def read(self, partition: int, product_ids: Sequence[int]) -> dict[int, State]:
        """Return the states of the known products."""

    def write(self, partition: int, states: Mapping[int, State]) -> None:
        """Store states."""


class StatesInMemory:
    """States in a dictionary; `only` limits them to one product."""

    def __init__(self, only: int | None = None) -> None:
        self._only = only
        self._states: dict[tuple[int, int], State] = {}

    def read(self, partition: int, product_ids: Sequence[int]) -> dict[int, State]:
        """See `States`."""
        found = {i: self._states.get((partition, i)) for i in product_ids}
        return {i: state for i, state in found.items() if state is not None}

    def write(self, partition: int, states: Mapping[int, State]) -> None:
        """See `States`."""
        only = self._only
        self._states |= {(partition, i): s for i, s in states.items() if only in (None, i)}


class StatesOnDisk:
    """States in a database per partition: memory does not grow with the products."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._memory = Memory()
        self._stores: dict[int, PartitionStore] = {}

    def read(self, partition: int, product_ids: Sequence[int]) -> dict[int, State]:
        """See `States`."""
        return self._store(partition).read(product_ids)

    def write(self, partition: int, states: Mapping[int, State]) -> None:
        """See `States`."""
        self._store(partition).write(states, next_offset=None, now_us=0)

    def items(self, partition: int) -> Iterator[tuple[int, State]]:
        """Return the states of a partition by product_id, including deleted products."""
        return self._store(partition).items()

    @property
    def partitions(self) -> Sequence[int]:
        """The partitions of which states were read or written."""
        return sorted(self._stores)

    def close(self) -> None:
        """Close the databases."""
        for store in self._stores.values():
            store.close()

    def _store(self, partition: int) -> PartitionStore:
        if partition not in self._stores:
            self._stores[partition] = PartitionStore(self._directory / str(partition), self._memory)
        return self._stores[partition]


@contextmanager
def states_on_disk() -> Iterator[StatesOnDisk]:
    """Create states in a temporary directory, which is removed after the block."""
    with TemporaryDirectory(prefix="dedup-") as directory:
        states = StatesOnDisk(Path(directory))
        try:
            yield states
        finally:
            states.close()


def state_of_record(
    record: Any, scheme: FingerprintScheme, known: State | None
) -> tuple[int, State] | None:
    """Return product_id and state of a record of `src_products`; None if it is not a product row.

    A record without an event time, such as Flink's tombstone, keeps the time of the state before.
    """
    product_id = read_output_key(record.key)
    state = state_from_record(record.value, record.headers, record.timestamp, scheme)
    if product_id is None or state is None:
        return None
    return product_id, with_known_time(state, known)


class StateRecord(NamedTuple):
    """A record of `src_products`, its product and state, and the state before.

    Product and state are None if the record is not a product row.
    """

    partition: int
    record: Any
    product_id: int | None
    state: State | None
    before: State | None


async def read_states(
    reader: TopicReader, states: States, scheme: FingerprintScheme, spans: Spans | None = None
) -> AsyncIterator[list[StateRecord]]:
    """Read `src_products` in batches of one partition, and store the states."""
    async for partition, records in reader.read(spans):
        ids = {i for i in (read_output_key(record.key) for record in records) if i is not None}
        known = states.read(partition, list(ids))
        reads = []
        for record in records:
            before = known.get(read_output_key(record.key) or 0)
            product_id, state = state_of_record(record, scheme, before) or (None, None)
            if product_id is not None and state is not None:
                known[product_id] = state
            reads.append(StateRecord(partition, record, product_id, state, before))
        states.write(partition, known)
        yield reads


async def load_states(
    reader: TopicReader, states: States, scheme: FingerprintScheme
) -> list[StateRecord]:
    """Read all states from `src_products`; return the newest record of each partition."""
    newest: dict[int, StateRecord] = {}
    async for reads in read_states(reader, states, scheme):
        newest |= {read.partition: read for read in reads if read.state is not None}
    return list(newest.values())
