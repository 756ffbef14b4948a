"""What is inferred from events of known shapes, and what is said where it can't be told."""

import json
from collections.abc import Iterable
from typing import Any, Final

import pytest

from dedup.core.annotations import DecimalBytes, Epoch, EpochDays
from dedup.core.entity import Debezium, Flat, Wrapped
from dedup.inference.events import InferenceError, SampledRecord
from dedup.inference.infer import Inferred, infer
from dedup.inference.names import entity_name
from dedup.inference.types import FieldType
from tests.golden.files import golden

MS: Final = 1_704_067_200_000


def sample(pairs: Iterable[tuple[Any, Any]]) -> list[SampledRecord]:
    """Return records of keys and documents; bytes and None are taken as they are."""
    return [
        SampledRecord(0, offset, _bytes(key), _bytes(value))
        for offset, (key, value) in enumerate(pairs)
    ]


def _bytes(value: Any) -> bytes | None:
    return value if value is None or isinstance(value, bytes) else json.dumps(value).encode()


def flat(count: int = 200, **members: Any) -> list[SampledRecord]:
    """Return flat rows; a member that can be called gives a value for each number."""
    return sample(
        (
            str(number % 20).encode(),
            {
                "id": number % 20,
                "updated_at": MS + number,
                **{n: m(number) if callable(m) else m for n, m in members.items()},
            },
        )
        for number in range(count)
    )


def kinds(inferred: Inferred) -> dict[str, str]:
    return {field.name: field.type.kind for field in inferred.fields}


def doubts_about(inferred: Inferred, name: str) -> str:
    return "\n".join(d for d in inferred.doubts if d.startswith(f"{name}: "))


def test_integers_are_times_only_where_the_name_says_so_too() -> None:
    found = infer(
        flat(
            price=lambda n: 1_700_000_000 + n,
            sku=lambda n: 4_006_381_333_931 % 10**12 + 10**12 + n,
            sent_at=lambda n: 1_700_000_000 + n,
            seen_ts=lambda n: MS * 1000 + n,
        )
    )
    assert kinds(found)["price"] == "integer"
    assert kinds(found)["sku"] == "integer"
    assert "could be 20" in doubts_about(found, "sku")
    types = {field.name: field.type for field in found.fields}
    assert types["sent_at"] == FieldType("time", mark=Epoch("s"))
    assert types["seen_ts"] == FieldType("time", mark=Epoch("us"))
    assert "taken for the time since the epoch in s" in doubts_about(found, "sent_at")


def test_the_newest_time_is_the_event_time_and_others_are_named() -> None:
    found = infer(flat(created_at=lambda n: MS - n, name="x"))
    assert found.envelope == Flat(time="updated_at")
    assert "created_at could be it too" in doubts_about(found, "updated_at")
    assert found.metadata[:1] == ("updated_at",)


def test_a_version_that_every_change_raises_is_metadata_and_other_fields_are_not() -> None:
    found = infer(flat(version=lambda n: n, price=lambda n: n * 7, name=lambda n: n // 100))
    assert found.metadata == ("updated_at", "version")
    assert "add it to metadata" in doubts_about(found, "price")
    assert doubts_about(found, "name") == ""


def test_few_values_in_many_events_are_a_choice_and_in_few_events_text() -> None:
    def status(number: int) -> str:
        return ("open", "paid", "sent")[number % 3]

    many, few = infer(flat(300, status=status)), infer(flat(100, status=status))
    assert kinds(many)["status"] == "choice"
    assert '"open", "paid", "sent" in 300 values' in doubts_about(many, "status")
    assert kinds(few)["status"] == "text"


def test_decimals_have_the_places_that_were_seen_and_never_fewer() -> None:
    raw = flat(name="x")
    values = [json.loads(r.value or b"") for r in raw]
    texts = [
        json.dumps({**value, "price": 0}).replace('"price": 0', f'"price": {number}').encode()
        for value, number in zip(values, ["1", "2.5", "3.125", "1e2"] * 50, strict=True)
    ]
    found = infer([r._replace(value=text) for r, text in zip(raw, texts, strict=True)])
    types = {field.name: field.type for field in found.fields}
    assert types["price"] == FieldType("decimal", digits=14, places=4)
    assert "3 places were seen at most" in doubts_about(found, "price")


def test_texts_of_numbers_stay_text_unless_all_have_the_same_places() -> None:
    found = infer(
        flat(
            version_name=lambda n: f"1.{10 ** (n % 2)}",
            fee=lambda n: f"{n}.50",
            zip_code=lambda n: f"{n:05}",
            number=lambda n: str(n + 1),
        )
    )
    names = ("version_name", "fee", "zip_code", "number")
    assert [kinds(found)[n] for n in names] == ["text", "decimal", "text", "text"]
    assert "texts of numbers" in doubts_about(found, "number")


def test_a_field_that_no_type_takes_is_left_out_and_counted() -> None:
    found = infer(flat(odd=lambda n: [1, "x", {"a": 1}][n % 3], name="x", **{"a-b": 1, "json": 2}))
    assert not {"odd", "a-b", "json"} & kinds(found).keys()
    assert '67 integer (1), 67 text ("x"), 66 object ({"a": 1})' in doubts_about(found, "odd")
    assert "not a name that Python accepts; the field is left out" in doubts_about(found, "a-b")
    assert "pydantic has an attribute of this name" in doubts_about(found, "json")


def test_nulls_and_lacking_fields_are_told_apart() -> None:
    records = flat(note=lambda n: None if n % 2 else "x", name="x")
    short = json.loads(records[0].value or b"")
    del short["name"]
    records[0] = records[0]._replace(value=_bytes(short))
    found = infer(records)
    fields = {field.name: field for field in found.fields}
    assert (fields["note"].nullable, fields["note"].has_default) == (True, False)
    assert (fields["name"].nullable, fields["name"].has_default) == (True, True)
    assert "1 of 200 rows lack it" in doubts_about(found, "name")


def test_deletes_may_lack_fields_and_creations_must_not() -> None:
    def event(number: int) -> dict[str, Any]:
        action = ("OrderCreated", "OrderPaid", "OrderDeleted")[number % 3]
        row = {"id": number, "total": 1.5, "name": "x"}
        rows = (row, {"id": number, "total": 2}, {"id": number})
        return {"type": action, "ts": MS + number, "old_total": 1, "order": rows[number % 3]}

    found = infer(sample((str(n).encode(), event(n)) for n in range(300)))
    assert found.envelope == Wrapped(
        payload="order",
        time="ts",
        action="type",
        creates=("OrderCreated",),
        deletes=("OrderDeleted",),
        carries=("old_total",),
        unit="ms",
    )
    assert not any(field.has_default for field in found.fields)
    assert '"OrderPaid" may lack fields' in doubts_about(found, "type")


def test_an_action_on_a_part_of_the_row_neither_creates_nor_deletes_it() -> None:
    """Taken for a delete, each `item_removed` would take an order from the output."""
    values = ("order_created", "item_removed", "created_item", "deleted", "new_price")
    events = (
        {"action": values[n % 5], "ts": MS + n, "order": {"id": n, "total": 1.5, "name": "x"}}
        for n in range(100)
    )
    found = infer(sample((str(n).encode(), event) for n, event in enumerate(events)))
    assert isinstance(found.envelope, Wrapped)
    assert found.envelope.creates == ("order_created",)
    assert found.envelope.deletes == ("deleted",)


def test_the_schema_of_debezium_decides_and_not_the_values() -> None:
    file = next(f for f in golden("debezium") if f.name == "postgresql_with_schema_precise")
    found = infer(sample([(file.document["key"], file.document["value"])]))
    types = {field.name: field.type for field in found.fields}
    assert (found.envelope, found.id, found.key) == (Debezium(), "id", None)
    assert types == {
        "id": FieldType("integer"),
        "reference": FieldType("text"),
        "total": FieldType("decimal", 12, 2, DecimalBytes(2)),
        "placed_on": FieldType("date", mark=EpochDays()),
        "paid_at": FieldType("time"),
        "updated_at": FieldType("time", mark=Epoch("us")),
        "details": FieldType("object"),
        "state": FieldType("choice", choices=("open", "paid")),
        "is_gift": FieldType("boolean"),
    }
    nullable = {field.name for field in found.fields if field.nullable}
    assert nullable == {"paid_at", "details"}


ROW: Final = {"id": 1, "code": 1, "updated_at": MS, "name": "x"}


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "The topic has no records"),
        ([(b"1", None)] * 3, "No value of the topic is a JSON object: 3 are null."),
        ([(b"1", b"\xff\xfe")], r"1 are no JSON \(first at 0/0\). Events have to be JSON."),
        ([(b"1", b"\0\0\0\0\x07abc")], "1 are no JSON, but Avro or Protobuf of a schema registry"),
        ([(b"1", [1]), (b"1", 5)], "1 are JSON of type list .*, 1 are JSON of type integer"),
        ([(b"1", ROW)], "Several fields equal the record key in 1 of 1 events: code, id. Name"),
        ([(None, ROW)] * 5, "No record has a key, so the id can't be told"),
        ([({"id": 1, "code": 1}, ROW)], "keys of several columns are not supported"),
        ([(b"zz", ROW)], "No field equals the record key in most of 1 events. The key must"),
        ([(b"1", {"id": 1, "name": "x"})], "No member of the events has a time in all of 1"),
        ([(b"1", {"id": 1, "at": "2024-01-01T00:00:00Z"})], "there is nothing to compare"),
        ([(b"1.5", {"id": "1.5", "n": 1, "at": [1]})], "No member of the events has a time"),
        ([(b"1", {"schema": {}, "payload": ROW})], "value.converter.schemas.enable=false"),
        ([(b"1", {"row": {"id": 1, "name": "x"}})], "No member of the events beside 'row' has a"),
    ],
)
def test_what_can_t_be_inferred_is_said_in_a_sentence(records: Any, message: str) -> None:
    with pytest.raises(InferenceError, match=message):
        infer(sample(records))


def test_a_named_id_is_taken_though_keys_differ_and_they_are_counted() -> None:
    records = sample([(None, ROW), (b"7", ROW), (b"1", ROW)])
    found = infer(records, "code")
    assert found.id == "code"
    assert "in 1 of 2 events; the others would be refused" in doubts_about(found, "code")
    assert "1 records have none and would be refused" in doubts_about(found, "keys")
    with pytest.raises(InferenceError, match="No event has a field 'nope'"):
        infer(records, "nope")


def test_other_shapes_among_the_events_are_counted() -> None:
    found = infer([*flat(name="x"), *sample([(b"1", [1]), (b"1", b"{"), (b"1", {"ping": 1})])])
    assert "1 are JSON of type list (first at 0/0)" in doubts_about(found, "values")
    assert "1 events are without id" in doubts_about(found, "envelope")


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("orders", "order"),
        ("shop.public.Orders", "order"),
        ("price-updates", "price_update"),
        ("categories", "category"),
        ("address", "address"),
        ("2024", "row"),
        ("x" * 60, "x" * 40),
    ],
)
def test_an_entity_is_named_after_its_topic(topic: str, name: str) -> None:
    assert entity_name(topic) == name
