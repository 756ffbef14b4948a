"""Writes the golden files of today's code; a version that has files already is left as it is.

`python -m tests.golden.write`: run it when the code begins to write a new version. What it takes
for the meaning is what the code of today reads, so look at the files before committing them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from msgspec import structs

from dedup.core.dead_letter import DeadLetter, Header
from dedup.core.decide import Position, ProcessingTime, decide
from dedup.core.keys import Id
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.core.records import output_headers
from dedup.core.state import LAYOUT, State, encode_state
from producer.events import EventGenerator, GeneratedEvent, Kind, Mix
from tests.golden.files import Golden, event_document, state_document, versions
from tests.support.products import CODEC, rules, seen

EVENTS_VERSION: Final = 1
"""Counts the forms in which producer/events.py has written events."""

RECORDS_VERSION: Final = 3
"""Counts the forms of records of `src_products`: their headers and fingerprints."""

TIMESTAMP_MS: Final = 1_764_000_000_123
CLOCK: Final = ProcessingTime(TIMESTAMP_MS * 1000, "2025-11-24T16:00:00.123000Z")

FLINK_ROWS: Final = {
    "flink_row": b'{"product_id":1,"product_name":"Laptop Pro","description":null,"price":1E+1,'
    b'"stock_quantity":25,"discount":0.50,"created_at":"2023-12-01 09:00:00",'
    b'"updated_at":"2023-12-01 10:30:00.123456","last_event_id":"evt_1","last_action":"updated",'
    b'"last_event_timestamp":"2023-12-01 10:30:00.123456","last_old_price":11.00,'
    b'"processing_time":"2023-12-01 10:30:01.000"}',
    "flink_row_with_nulls": '{"product_id":2,"product_name":"Käse \\u00fc \U0001f600",'
    '"description":"","price":"99999999.99","stock_quantity":null,"discount":null,'
    '"created_at":null,"updated_at":null,"last_event_id":null,"last_action":null,'
    '"last_event_timestamp":null,"last_old_price":null,"processing_time":null}'.encode(),
    "flink_tombstone": None,
}


def produced() -> dict[str, GeneratedEvent]:
    """One event of every action as the producer writes it, and a partial one."""
    clock = iter(range(10**6))
    begin = datetime(2025, 11, 24, 15, 0, tzinfo=UTC).timestamp()
    generator = EventGenerator(
        4, lambda: datetime.fromtimestamp(begin + next(clock), UTC), Mix(products=8, partial=0.2)
    )
    wanted = {"created", "updated", "price_changed", "stock_updated", "deleted", "partial"}
    found: dict[str, GeneratedEvent] = {}
    for event in generator:
        name = "partial" if event.kind is Kind.PARTIAL else event.action
        if event.kind is not Kind.DUPLICATE:
            found.setdefault(name, event)
        if found.keys() == wanted:
            break
    return found


def _hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def _events() -> Iterator[Golden]:
    for name, event in {**produced(), "null_value": _null_value()}.items():
        document = {
            "key": _hex(event.key),
            "value": _hex(event.value),
            "text": None if event.value is None else event.value.decode(),
            "means": event_document(seen(CODEC.read(event.key, event.value))),
        }
        yield Golden("events", EVENTS_VERSION, name, document)


def _null_value() -> GeneratedEvent:
    return GeneratedEvent(b"7", None, Kind.DELETE, "deleted", None)


def _states() -> Iterator[tuple[str, Id, State]]:
    """States as decisions make them: after each produced event, and after some more."""
    for offset, (name, event) in enumerate(produced().items()):
        read = CODEC.read(event.key, event.value)
        at = Position(3, 2**33 + offset)
        known = None if name != "partial" else _created(read)
        decision = decide(read, known, at, CLOCK, rules())
        if isinstance(read, DeadLetter) or decision.state is None:
            raise AssertionError(decision)
        yield name, read.id, decision.state
        if name == "updated":
            again = structs.replace(at, offset=2**34)
            repeated = decide(
                structs.replace(read, time=2**51), decision.state, again, CLOCK, rules()
            )
            gone = decide(
                structs.replace(read, kind=EventKind.DELETE, time=2**52),
                repeated.state,
                structs.replace(at, offset=2**35),
                CLOCK,
                rules(),
            )
            for more, state in (("repeated", repeated.state), ("gone", gone.state)):
                if state is None:
                    raise AssertionError(more)
                yield more, read.id, state


def _created(partial: NormalEvent | DeadLetter) -> State | None:
    """A state the partial event can be merged over."""
    if isinstance(partial, DeadLetter):
        raise TypeError(partial)
    _, _, timestamp, _ = partial.provenance
    before = structs.replace(
        partial,
        kind=EventKind.UPSERT,
        time=1,
        provenance=("evt_before", "created", timestamp, None),
        values=(partial.id, "Before", "as it was", "5.00", 0, "0.00", None, None),
    )
    return decide(before, None, Position(3, 1), CLOCK, rules()).state


def _records() -> Iterator[Golden]:
    for name, product_id, state in _states():
        if name in ("repeated", "deleted"):
            continue  # a duplicate, and a delete of what is not known: they emit nothing
        key = CODEC.keys.write(product_id, "plain" if name == "created" else "json")
        yield _record(name, key, state.row, output_headers(state))
    for name, row in FLINK_ROWS.items():
        yield _record(name, CODEC.keys.write(2 if "nulls" in name else 1, "json"), row, [])


def _record(name: str, key: bytes, value: bytes | None, headers: list[Header]) -> Golden:
    state = CODEC.state_from_record(value, headers, TIMESTAMP_MS)
    if state is None:
        raise ValueError(name)
    document = {
        "key": key.hex(),
        "value": _hex(value),
        "headers": [[header, content.hex()] for header, content in headers],
        "timestamp_ms": TIMESTAMP_MS,
        "product_id": CODEC.keys.read_output(key),
        "means": state_document(state),
    }
    return Golden("records", RECORDS_VERSION, name, document)


def _state_bytes() -> Iterator[Golden]:
    for name, _, state in _states():
        document = {"bytes": encode_state(state).hex(), "means": state_document(state)}
        yield Golden("states", LAYOUT, name, document)
    for record in _records():
        if record.name.startswith("flink"):
            state = record.state
            document = {"bytes": encode_state(state).hex(), "means": state_document(state)}
            yield Golden("states", LAYOUT, record.name, document)


def main() -> None:
    """Write what has no directory yet."""
    made = [*_events(), *_records(), *_state_bytes()]
    new = {(g.kind, g.version) for g in made if g.version not in versions(g.kind)}
    for golden in made:
        if (golden.kind, golden.version) in new:
            golden.write()


if __name__ == "__main__":
    main()
