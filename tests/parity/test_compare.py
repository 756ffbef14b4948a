"""The comparison of two topics by the columns of the entity: what it takes for equal."""

import json
from typing import Any, NamedTuple

import pytest

from dedup.core.entity import Entity
from dedup.core.keys import Id
from dedup.entities.product import PRODUCT
from dedup.parity.compare import RowHistory, differences, differing_columns, row_histories, shown
from tests.parity.customers import CUSTOMER
from tests.parity.orders import ORDER

ROWS: dict[str, dict[str, Any]] = {
    "product": {
        "product_id": 7,
        "product_name": "Lamp",
        "description": None,
        "price": "10.00",
        "stock_quantity": 1,
        "discount": "0.00",
        "created_at": "2026-01-01T10:00:00.000000Z",
        "updated_at": None,
        "last_event_id": "e1",
        "last_action": "created",
        "last_event_timestamp": "2026-01-01T10:00:00.000000Z",
        "last_old_price": "9.50",
        "processing_time": "2026-01-01T10:00:01.000000Z",
    },
    "order": {
        "order_id": "AB-1",
        "customer": "7",
        "status": "open",
        "total": "10.00",
        "paid": True,
        "late": 1,
        "content": "x",
        "reference": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
        "ordered_on": "2026-01-01",
        "shipped_at": "2026-01-01T10:00:00.500000Z",
        "details": {"a": 1, "b": [True, None]},
        "lines": [1, 2],
        "updated_at": "2026-01-01T10:00:00.000000Z",
        "last_event_timestamp": "2026-01-01T10:00:00.000000Z",
        "processing_time": "2026-01-01T10:00:01.000000Z",
    },
    "customer": {
        "id": 7,
        "name": "Ann",
        "credit": "1.500",
        "born": "1997-05-19",
        "created": "2023-11-14T22:13:20.000005Z",
        "settings": {"a": 1},
        "last_action": "u",
        "last_event_timestamp": "2026-01-01T10:00:00.000000Z",
        "processing_time": "2026-01-01T10:00:01.000000Z",
    },
}
ENTITIES = {each.name: each for each in (PRODUCT, ORDER, CUSTOMER)}
COLUMNS = [(name, column) for name, row in ROWS.items() for column in row]


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None


def histories(entity: Entity, *rows: dict[str, Any] | None) -> dict[Id, RowHistory]:
    key = json.dumps({entity.id: ROWS[entity.name][entity.id]}, separators=(",", ":")).encode()
    values = [None if row is None else json.dumps(row).encode() for row in rows]
    return {**row_histories(entity, [Record(key, value) for value in values])}


def other_value(value: Any) -> Any:
    """A value a little beside another, of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case None:
            return "2026-01-01T10:00:00.000001Z"
        case dict():
            return {**value, "a": 2}
        case list():
            return value[::-1]
    return value.replace("0", "1", 1) if "0" in value else value + "?"


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_a_row_that_differs_in_any_one_column_differs(name: str, column: str) -> None:
    entity, row = ENTITIES[name], ROWS[name]
    worker = histories(entity, row)
    for value in {str(v): v for v in (other_value(row[column]), "nonsense", None)}.values():
        if value == row[column]:
            continue
        flink = histories(entity, {**row, column: value})
        found = differences(worker, flink)
        if column == "processing_time":
            assert found == []
            continue
        assert [each.id for each in found] == [row[entity.id]]
        if value != "nonsense":
            assert differing_columns(found[0].worker, found[0].flink) == {column}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_without_a_column_differs_unless_that_is_null(name: str) -> None:
    entity, row = ENTITIES[name], ROWS[name]
    for column, value in row.items():
        if column != "processing_time":
            rest = {other: v for other, v in row.items() if other != column}
            found = differences(histories(entity, row), histories(entity, rest))
            assert bool(found) == (value is not None)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("total", 10),
        ("total", "1E+1"),
        ("total", 10.0),
        ("shipped_at", "2026-01-01 10:00:00.5"),
        ("shipped_at", "2026-01-01T12:00:00.500+02:00"),
        ("details", {"b": [True, None], "a": 1.0}),
    ],
)
def test_equal_values_are_equal_however_they_are_written(column: str, text: Any) -> None:
    row = ROWS["order"]
    assert differences(histories(ORDER, row), histories(ORDER, {**row, column: text})) == []


@pytest.mark.parametrize(("column", "value"), [("paid", 1), ("late", True), ("customer", 7)])
def test_values_of_another_type_differ(column: str, value: object) -> None:
    row = ROWS["order"]
    assert differences(histories(ORDER, row), histories(ORDER, {**row, column: value}))


def _prices(*prices: int | None) -> list[dict[str, Any] | None]:
    return [None if price is None else {**ROWS["product"], "price": price} for price in prices]


def test_another_order_a_lost_and_a_repeated_row_are_differences() -> None:
    flink = histories(PRODUCT, *_prices(1, 2, None))
    assert differences(flink, histories(PRODUCT, *_prices(1, 2, None))) == []
    for other in ((2, 1, None), (1, None), (1, 1, 2, None), ()):
        found = differences(histories(PRODUCT, *_prices(*other)), flink)
        assert [difference.id for difference in found] == [7]
    assert [difference.id for difference in differences({}, flink)] == [7]


def test_compaction_may_take_rows_but_not_the_last_one() -> None:
    flink = histories(PRODUCT, *_prices(1, 2, 3))
    assert differences(histories(PRODUCT, *_prices(1, 3)), flink, compacted=True) == []
    for other in ((1, 2), (2, 1, 3), (4, 3), (3, 3)):
        worker = histories(PRODUCT, *_prices(*other))
        assert [d.id for d in differences(worker, flink, compacted=True)] == [7]
    gone = histories(PRODUCT, *_prices(1, None))
    assert differences({}, gone, compacted=True) == []


def test_a_row_that_is_none_differs_and_is_shown_as_it_is() -> None:
    key = b'{"product_id":7}'
    broken = row_histories(PRODUCT, [Record(key, b"{"), Record(None, b"{}"), Record(b"x", b"{}")])
    assert list(broken) == [7]
    (difference,) = differences(histories(PRODUCT, ROWS["product"]), broken)
    assert shown(difference.flink[0], ["price"]) == "what the record holds {"
    assert (
        shown(difference.worker[0], ["product_name", "price"]) == 'product_name "Lamp", price 10.00'
    )
    assert shown(None, ["price"]) == "tombstone"
