"""Golden events of Debezium's connectors, in the shapes of its documentation.

`tests/golden/debezium/<version>/<name>.json`: key and value as they are on the topic, and what they
mean. `model` tells which marks the model needs: none where the event has its schema.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

import pytest
from msgspec import UNSET, Raw
from pydantic import BaseModel, Field

from dedup.core.annotations import DecimalBytes, Epoch, EpochDays
from dedup.core.codec import Codec, Whole
from dedup.core.dead_letter import DeadLetter
from dedup.core.entity import Debezium, Entity
from dedup.core.normal_event import EventKind, NormalEvent
from dedup.core.times import time_text
from tests.golden.files import Golden, golden

FILES: Final = golden("debezium")
NOW: Final = "2026-01-01T00:00:00.000000Z"
Money = Annotated[Decimal, Field(max_digits=12, decimal_places=2)]


class Row(BaseModel):
    """The table of the golden events, as it is written with a schema."""

    id: int
    reference: str
    total: Money
    placed_on: date
    paid_at: datetime | None
    updated_at: datetime
    details: dict[str, Any] | None
    state: Literal["open", "paid"]
    is_gift: bool


class Micros(Row):
    """Without a schema, `time.precision.mode=adaptive` of PostgreSQL."""

    placed_on: Annotated[date, EpochDays()]
    updated_at: Annotated[datetime, Epoch("us")]


class Millis(Micros):
    """Without a schema, `time.precision.mode=connect`, or MySQL's DATETIME."""

    updated_at: Annotated[datetime, Epoch("ms")]


class Precise(Micros):
    """Without a schema, `decimal.handling.mode=precise`."""

    total: Annotated[Money, DecimalBytes(scale=2)]


MODELS: Final[Mapping[str, type[BaseModel]]] = {
    "unmarked": Row,
    "micros": Micros,
    "millis": Millis,
    "precise": Precise,
}


def codec_of(file: Golden) -> Codec:
    model = MODELS[file.document["model"]]
    return Codec(Entity("row", model, "id", Debezium(), metadata=("updated_at",)))


def as_bytes(document: object) -> bytes | None:
    """Return JSON as Connect's converter writes it."""
    return None if document is None else json.dumps(document, separators=(",", ":")).encode()


def record(file: Golden) -> tuple[bytes | None, bytes | None]:
    return as_bytes(file.document["key"]), as_bytes(file.document["value"])


def shown(values: tuple[Any, ...]) -> dict[str, Any]:
    """Return values as JSON has them."""
    named = dict(zip(Row.model_fields, values, strict=True))
    told = {n: time_text(v) if isinstance(v, datetime) else v for n, v in named.items()}
    return {
        n: json.loads(bytes(v)) if isinstance(v, Raw) else v
        for n, v in told.items()
        if v is not UNSET
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_golden_event_means_what_it_meant(file: Golden) -> None:
    said, means = codec_of(file).read(*record(file)), file.document["means"]
    if "reason" in means:
        assert isinstance(said, DeadLetter)
        assert (said.reason, said.message) == (means["reason"], means["message"])
        return
    assert isinstance(said, NormalEvent), said
    assert (said.kind, said.id, said.time) == (means["kind"], means["id"], means["time"])
    assert (said.provenance[0] if said.provenance else None) == means["action"]
    if said.kind is not EventKind.DELETE:
        assert shown(said.values) == means["values"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_fast_path_takes_every_whole_row(file: Golden) -> None:
    """An event with a schema is taken once the schema was seen."""
    codec, (key, value) = codec_of(file), record(file)
    said = codec.read(key, value)
    found = codec.recognise(key, value, NOW)
    if isinstance(said, DeadLetter) or said.kind is not EventKind.UPSERT:
        assert found is None
        return
    whole = codec.whole(said, None)
    assert isinstance(whole, Whole)
    row = codec.row(said, whole, NOW)
    assert found == (said.id, said.time, whole.canonical, row)
    known = codec.read_row(row)
    assert known is not None
    assert shown(known.values) == file.document["means"]["values"]


def test_every_way_of_writing_a_row_is_the_same_content() -> None:
    """An operator may change the connector's settings: nothing is emitted again for it."""
    canonical = set()
    for file in FILES:
        codec = codec_of(file)
        said = codec.read(*record(file))
        if isinstance(said, NormalEvent) and said.kind is EventKind.UPSERT:
            whole = codec.whole(said, None)
            assert isinstance(whole, Whole)
            canonical.add(whole.canonical)
    assert len(canonical) == 1


def test_a_large_value_that_did_not_change_is_that_of_the_known_row() -> None:
    files = {file.name: file for file in FILES}
    codec = codec_of(files["postgresql_create"])
    found = codec.recognise(*record(files["postgresql_create"]), NOW)
    said = codec.read(*record(files["postgresql_unchanged_large_value"]))
    assert found is not None
    assert isinstance(said, NormalEvent)
    assert said.lacks == ("details",)
    whole = codec.whole(said, found[3])
    assert isinstance(whole, Whole)
    assert whole.canonical == found[2]
    assert isinstance(codec.whole(said, None), DeadLetter)


def test_many_schemas_are_forgotten_again() -> None:
    """A schema that changes with every event must not fill the memory."""
    file = next(f for f in FILES if f.name == "postgresql_with_schema_text")
    codec, (key, _) = codec_of(file), record(file)
    for number in range(200):
        document = file.document["value"] | {
            "schema": file.document["value"]["schema"] | {"version": number}
        }
        assert isinstance(codec.read(key, as_bytes(document)), NormalEvent)
    assert len(codec._reader._by_schema) <= 64  # type: ignore[attr-defined]


def test_a_schema_that_no_converter_writes_is_refused() -> None:
    file = next(f for f in FILES if f.name == "postgresql_with_schema_text")
    document = file.document["value"] | {"schema": {"name": "\ud800"}}
    refused = codec_of(file).read(b'{"id":7}', as_bytes(document))
    assert isinstance(refused, DeadLetter)
    assert refused.message == "schema: no schema of Kafka Connect"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"op": "x"}, "The op 'x' is not one of c, u, r and d."),
        ({"op": 1}, "op: an event of Debezium has its operation here"),
        ({"source": {}}, "source: the time of the change is expected, as ts_ms"),
        ({"source": None}, "source: Input should be a valid dictionary or instance of"),
        ({"source": {"ts_ms": 10**18}}, "source: the time is outside the years 1 to 9999 in UTC"),
        ({"after": None}, "after: Input should be a valid dictionary or instance of"),
        ({"after": {"id": 7}}, "after.reference: Field required"),
        ({"op": "d", "before": {"id": "x"}}, "before.id: Value error, an integer is expected"),
        ({"op": "d", "before": {"id": 8}}, "but its id is 8."),
    ],
)
def test_what_is_wrong_with_an_event_is_said(change: dict[str, Any], message: str) -> None:
    file = next(f for f in FILES if f.name == "postgresql_create")
    refused = codec_of(file).read(b'{"id":7}', as_bytes(file.document["value"] | change))
    assert isinstance(refused, DeadLetter)
    assert message in refused.message
