"""The known states of rows while a command runs: in memory, or in RocksDB on disk."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

from dedup.core.codec import Codec
from dedup.core.entity import Entity
from dedup.core.keys import Id
from dedup.core.state import State, with_known_time
from dedup.kafka.topic_reader import Spans, TopicReader
from dedup.state.memory import Memory
from dedup.state.row_keys import RowKeys
from dedup.state.store import PartitionStore


class States(Protocol):
    """States by partition and id."""

    def read(self, partition: int, ids: Sequence[Id]) -> dict[Id, State]:
        """Return the states of the known ids."""

    def write(self, partition: int, states: Mapping[Id, State]) -> None:
        """Store states."""


class StatesInMemory:
    """States in a dictionary; `only` limits them to one id."""

    def __init__(self, only: Id | None = None) -> None:
        self._only = only
        self._states: dict[tuple[int, Id], State] = {}

    def read(self, partition: int, ids: Sequence[Id]) -> dict[Id, State]:
        """See `States`."""
        found = {i: self._states.get((partition, i)) for i in ids}
        return {i: state for i, state in found.items() if state is not None}

    def write(self, partition: int, states: Mapping[Id, State]) -> None:
        """See `States`."""
        only = self._only
        self._states |= {(partition, i): s for i, s in states.items() if only in (None, i)}


class StatesOnDisk:
    """States in a database per partition: memory does not grow with the rows.

    Several that share a `memory` take no more together than one.
    """

    def __init__(self, directory: Path, entity: Entity, memory: Memory | None = None) -> None:
        self._directory = directory
        self._keys = RowKeys(entity)
        self._memory = memory or Memory()
        self._stores: dict[int, PartitionStore] = {}

    def read(self, partition: int, ids: Sequence[Id]) -> dict[Id, State]:
        """See `States`."""
        return self._store(partition).read(ids)

    def write(self, partition: int, states: Mapping[Id, State]) -> None:
        """See `States`."""
        store = self._store(partition)
        store.write(states, next_offset=None, now_us=0)
        while not store.make_room():
            store.persist()

    def items(self, partition: int) -> Iterator[tuple[Id, State]]:
        """Return the states of a partition by id, including deleted ones."""
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
            path = self._directory / str(partition)
            self._stores[partition] = PartitionStore(path, self._memory, self._keys)
        return self._stores[partition]


@contextmanager
def states_on_disk(entity: Entity, memory: Memory | None = None) -> Iterator[StatesOnDisk]:
    """Create states in a temporary directory, which is removed after the block."""
    with TemporaryDirectory(prefix="dedup-") as directory:
        states = StatesOnDisk(Path(directory), entity, memory)
        try:
            yield states
        finally:
            states.close()


def state_of_record(record: Any, codec: Codec, known: State | None) -> tuple[Id, State] | None:
    """Return id and state of a record of `src_products`; None if it is no row of the entity.

    A record without an event time, such as Flink's tombstone, keeps the time of the state before.
    """
    row_id = codec.keys.read_output(record.key)
    state = codec.state_from_record(record.value, record.headers, record.timestamp)
    if row_id is None or state is None:
        return None
    return row_id, with_known_time(state, known)


class StateRecord(NamedTuple):
    """A record of `src_products`, its id and state, and the state before.

    Id and state are None if the record is no row of the entity.
    """

    partition: int
    record: Any
    row_id: Id | None
    state: State | None
    before: State | None


async def read_states(
    reader: TopicReader, states: States, codec: Codec, spans: Spans | None = None
) -> AsyncIterator[list[StateRecord]]:
    """Read `src_products` in batches of one partition, and store the states."""
    async for partition, records in reader.read(spans):
        read = [codec.keys.read_output(record.key) for record in records]
        known = states.read(partition, list({i for i in read if i is not None}))
        reads = []
        for named, record in zip(read, records, strict=True):
            before = None if named is None else known.get(named)
            row_id, state = state_of_record(record, codec, before) or (None, None)
            if row_id is not None and state is not None:
                known[row_id] = state
            reads.append(StateRecord(partition, record, row_id, state, before))
        states.write(partition, known)
        yield reads


async def load_states(reader: TopicReader, states: States, codec: Codec) -> list[StateRecord]:
    """Read all states from `src_products`; return the newest record of each partition."""
    newest: dict[int, StateRecord] = {}
    async for reads in read_states(reader, states, codec):
        newest |= {read.partition: read for read in reads if read.state is not None}
    return list(newest.values())
