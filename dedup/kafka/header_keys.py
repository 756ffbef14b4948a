"""Record headers whose keys are not UTF-8: read, kept and written byte by byte.

Brokers accept any bytes as a header's key; aiokafka decodes and encodes UTF-8 and raises where it
can't. `KeptRecords` and `AnyKeyPartitionRecords` take the place of aiokafka's classes (see
`client.adjust_aiokafka`): a fetch that its compiled parser refuses is parsed again by the slower
one in Python, from the refused batch on, with `RawKey`s for these keys. Other fetches are parsed as
before. `create_batch` writes such keys.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


class RawKey(str):
    """A header key that is not UTF-8: text with surrogates for the bytes that are none.

    `encode` gives back the bytes it was read from.
    """

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:
        """Return the bytes of the key; aiokafka asks for them as UTF-8."""
        return super().encode(encoding, errors)


class _Text(bytearray):
    """Bytes that decode as a header key."""

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        try:
            return super().decode(encoding, errors)
        except UnicodeDecodeError:
            return RawKey(super().decode(encoding, "surrogateescape"))


class _Buffer(bytearray):
    """The bytes of a record batch; a slice of it decodes as a header key."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Text(found) if isinstance(at, slice) else found


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka ships no types
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Buffer(self._buffer)


class _LenientRecords(_MemoryRecordsPy):  # type: ignore[misc]  # as above
    """The record batches of a fetch that end after an offset."""

    _pos: int
    _next_slice: memoryview | None

    def __init__(self, data: bytes, offset: int) -> None:
        super().__init__(data)
        while self._next_slice is not None:
            place = self._pos, self._next_slice
            if super().next_batch().next_offset > offset:
                self._pos, self._next_slice = place
                return

    def next_batch(self) -> Any:
        found = self._next_slice
        batch = super().next_batch()
        return batch if batch is None or batch.magic < 2 else _Batch(found)  # noqa: PLR2004 - the first format with headers


class KeptRecords(fetcher.MemoryRecords):  # type: ignore[misc]  # as above
    """aiokafka's records of a fetch, with the bytes they are made of."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class AnyKeyPartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # as above
    """aiokafka's iterator of what was fetched of a partition; it reads any header key.

    Its generator is made when the first record is asked for: the two refer to each other, and what
    is dropped unread, or is read as whole batches, would be kept until the garbage collector runs.
    """

    _records: Any
    next_fetch_offset: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._records_iterator = None

    def __next__(self) -> Any:
        if self._records_iterator is None:
            self._records_iterator = self._unpack_records()
        try:
            return super().__next__()
        except (UnicodeDecodeError, CorruptRecordException):
            if not self.read_leniently():
                raise
        self._records_iterator = self._unpack_records()
        return super().__next__()

    @property
    def size_bytes(self) -> int:
        """The size of the fetch."""
        size: int = self._records.size_in_bytes()
        return size

    def read_leniently(self) -> bool:
        """Parse again from the position on, any header key; False if that is the case already."""
        if isinstance(self._records, _LenientRecords):
            return False
        self._records = _LenientRecords(self._records.data, self.next_fetch_offset)
        return True


Headers = Sequence[tuple[str, bytes | None]]


class HasHeaders(Protocol):
    """A record to be written."""

    @property
    def headers(self) -> Headers:
        """Its headers."""


def has_raw_key(headers: Headers) -> bool:
    """Return whether aiokafka's own builder of record batches would refuse these headers."""
    return any(isinstance(name, RawKey) for name, _ in headers)


class _RawKeyBatch(BatchBuilder):  # type: ignore[misc]  # as above
    """A record batch made in Python, whose header keys may be `RawKey`s."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        accumulator = producer._message_accumulator
        size, compression = accumulator._batch_size, accumulator._compression_type
        super().__init__(size, compression)
        transactions = producer._txn_manager
        self._builder = _DefaultRecordBatchBuilderPy(
            2,
            compression,
            is_transactional=transactions is not None and transactions.transactional_id is not None,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=0,
            batch_size=size,
        )

    def _set_producer_state(self, *state: int) -> None:
        self._builder.set_producer_state(*state)


def create_batch(producer: AIOKafkaProducer, records: Iterable[HasHeaders]) -> BatchBuilder:
    """Return an empty record batch of a producer that can hold these records."""
    raw = any(has_raw_key(record.headers) for record in records)
    return _RawKeyBatch(producer) if raw else producer.create_batch()
