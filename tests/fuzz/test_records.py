"""Fuzzed records of `products`, through the reader and through the whole step of the agent.

Every record is applied or is a dead letter, never both and never neither; a dead letter is byte for
byte what was read; nothing raises; nothing takes long. `make fuzz` tries far more.
"""

import time
from random import Random
from typing import TypeAlias

import pytest
from aiokafka import ConsumerRecord
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dedup.core.batch_result import Output, OutputRecord
from dedup.core.dead_letter import DeadLetter, Reason
from dedup.core.normal_event import NormalEvent
from tests.agent.conftest import Bench
from tests.core.records import ADDED, EVENT, PATHS, event_json
from tests.fuzz import hostile
from tests.support.products import CODEC, judged_by_pydantic, recognised
from tests.support.records import batch, record
from tests.support.state_header import state_header

LONGEST_S = 1.0
"""Processor time of one record; the large ones get it per megabyte."""

FUZZ = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,  # one table for all examples: states pile up in it
    ],
)

Record: TypeAlias = "ConsumerRecord[bytes | None, bytes | None]"


def read_in_time(key: bytes | None, value: bytes | None) -> NormalEvent | DeadLetter:
    """Read, and fail when it is no value or takes too long."""
    begun = time.thread_time()
    found = CODEC.read(key, value)
    taken = time.thread_time() - begun
    assert isinstance(found, (NormalEvent, DeadLetter))
    assert taken < LONGEST_S * max(1, len(value or b"") / hostile.MB)
    return found


def as_kafka_gives_it_back(written: OutputRecord) -> tuple[object, ...]:
    """Write a record in Kafka's format and read it again."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 2**26)
    fields = {"timestamp": 1, "key": written.key, "value": written.value}
    builder.append(0, **fields, headers=list(written.headers))
    found = MemoryRecords(bytes(builder.build())).next_batch()
    assert found is not None
    again = next(iter(found))
    return again.key, again.value, list(again.headers)


async def assert_applied_or_dead(bench: Bench, records: list[Record]) -> Output:
    """Apply a batch and account for every record of it."""
    before = bench.outcomes()
    await bench.app.deduplicator.apply(batch(*records))
    output = bench.publisher.outputs.pop()
    after = bench.outcomes()
    assert sum(after.values()) - sum(before.values()) == len(records)
    dead = after.get("dead_letter", 0) - before.get("dead_letter", 0)
    assert len(output.dead_letters) == dead
    letters = {
        int(dict(letter.headers[-6:])["__streams.errors.offset"] or b""): letter
        for letter in output.dead_letters
    }
    assert len(letters) == dead
    sources = [state_header(state.headers).source for state in output.states]
    assert len(set(sources)) == len(sources)
    for source in records:
        event = CODEC.read(source.key, source.value)
        letter = letters.get(source.offset)
        if letter is not None:
            assert_letter_is_the_record(letter, source)
            assert (0, source.offset) not in sources
        else:
            assert isinstance(event, NormalEvent)
        if isinstance(event, NormalEvent):
            assert_known(bench, event, source, applied=letter is None)
    return output


def assert_letter_is_the_record(letter: OutputRecord, source: Record) -> None:
    assert (letter.key, letter.value) == (source.key, source.value)
    assert list(letter.headers[: len(source.headers)]) == list(source.headers)
    reason = dict(letter.headers)["dedup.errors.reason"] or b""
    assert reason.decode() in set(Reason)
    written = (letter.key, letter.value, list(letter.headers))
    assert as_kafka_gives_it_back(letter) == written


def assert_known(bench: Bench, event: NormalEvent, source: Record, *, applied: bool) -> None:
    """What was applied is known: the state is as new as the event; what was not left no trace."""
    state = bench.table.read(0, [event.id]).get(event.id)
    if not applied:
        assert state is None or state.offset != source.offset
    elif event.time is not None:
        assert state is not None
        assert state.event_time >= event.time
    elif state is not None and state.offset <= source.offset:
        assert state.row is None


@given(key=hostile.keys(), value=hostile.values())
@settings(FUZZ, max_examples=1_200)
@example(key=b"1", value=event_json({"product.product_id": "1." + "0" * 300_000}))
def test_every_record_is_an_event_or_a_dead_letter(key: bytes | None, value: bytes | None) -> None:
    read_in_time(key, value)


def test_every_hostile_token_is_read_in_every_place() -> None:
    for place in PATHS + ADDED:
        for token in hostile.HOSTILE:
            value = event_json({place: token})
            read_in_time(b"1", value)
            plain = recognised(b"1", value)
            assert plain is None or plain == judged_by_pydantic(b"1", value), (place, token[:100])


def test_twenty_thousand_mutilated_events_are_read() -> None:
    random = Random(5)
    seeds = [event_json(), event_json({"product.price": "12.5", "product.discount": None})]
    seeds += [event_json({place: None}) for place in (*EVENT, "product.description")]
    for _ in range(20_000):
        value = hostile.mutilated(random, random.choice(seeds), random.choice(seeds))
        read_in_time(b"1", value)


@given(
    records=st.lists(
        st.tuples(hostile.keys(), hostile.values(), hostile.headers()), min_size=1, max_size=6
    )
)
@settings(FUZZ, max_examples=400)
async def test_the_agent_applies_a_record_or_writes_it_to_the_dead_letters(
    bench: Bench,
    records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]],
) -> None:
    first = sum(bench.outcomes().values())  # offsets grow from example to example
    made = []
    for number, (key, value, headers) in enumerate(records):
        source = record(first + number, value, key)
        source.headers = tuple(headers)
        made.append(source)
    await assert_applied_or_dead(bench, made)


async def test_every_hostile_token_goes_through_the_agent(bench: Bench) -> None:
    values = [event_json({p: t}) for p in PATHS + ADDED for t in hostile.HOSTILE if len(t) < 9000]
    made = [record(offset, value) for offset, value in enumerate([*values, *hostile.WHOLE])]
    output = await assert_applied_or_dead(bench, made)
    assert 100 < len(output.dead_letters) < len(made) - 100


def test_the_time_for_a_large_value_grows_with_its_size_and_no_faster() -> None:
    """A megabyte is Kafka's own limit for a record. The longest of these takes 0.15 s."""
    for value in hostile.large_values(hostile.MB).values():
        read_in_time(b"1", value)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a fraction of zeros", "product.product_id"),
        ("opened lists", "product.price"),
        ("many members", "extra"),
    ],
)
async def test_ten_megabytes_are_applied_or_dead(bench: Bench, name: str, place: str) -> None:
    value = hostile.large_values(10 * hostile.MB, only=name)[f"{name} in {place}"]
    read_in_time(b"1", value)
    await assert_applied_or_dead(bench, [record(0, value)])


async def test_a_key_of_ten_megabytes_is_a_dead_letter(bench: Bench) -> None:
    huge = b"1" * 10 * hostile.MB
    output = await assert_applied_or_dead(bench, [record(0, event_json(), huge)])
    assert len(output.dead_letters) == 1


@pytest.mark.parametrize(
    ("token", "applied"),
    [
        ('"9999-12-31T23:59:59.999999Z"', True),
        ('"9999-12-31T23:59:59.999999-00:01"', False),
        ('"2023-12-01T10:30:00"', True),
        ('"2023-12-01T10:30:00+05:30"', True),
        ('"2023-12-01T10:30:00-14:00"', True),
        ("1701426600", False),
    ],
)
async def test_what_becomes_of_odd_times(bench: Bench, token: str, applied: bool) -> None:
    output = await assert_applied_or_dead(bench, [record(0, event_json({"timestamp": token}))])
    assert (len(output.states), len(output.dead_letters)) == (int(applied), int(not applied))
