"""The limits of the products table, and the one normal form of what keeps them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.core.records import PLACES, event_json, outcome
from tests.support.products import CODEC, seen

ROOT = Path(__file__).parents[2]


def product_of(value: bytes) -> dict[str, Any]:
    return seen(CODEC.read(b"1", value)).product


@pytest.mark.parametrize("form", ['"10.0"', '"10.00"', '"10"', '"1e1"', '"1E+1"', '"10.000"'])
@pytest.mark.parametrize("quotes", [True, False])
@pytest.mark.parametrize("field", ["price", "discount", "old_price"])
def test_every_form_of_a_price_has_one_normal_form(form: str, quotes: bool, field: str) -> None:
    value = event_json({PLACES.get(field, field): form if quotes else form.strip('"')})
    read = seen(CODEC.read(b"1", value))
    assert (read.old_price if field == "old_price" else read.product[field]) == "10.00"


@pytest.mark.parametrize("token", ["0", "-0", "-0.00", '"-0"', "0.0", "0e5", '"0e-2"', '"0.000"'])
def test_zero_has_one_normal_form(token: str) -> None:
    assert product_of(event_json({"product.price": token}))["price"] == "0.00"


@pytest.mark.parametrize("price", ["99999999.99", "0.01", "10000000.00"])
def test_prices_within_the_limits_are_kept_to_the_cent(price: str) -> None:
    for token in (price, f'"{price}"'):
        assert product_of(event_json({"product.price": token}))["price"] == price


@pytest.mark.parametrize(
    "number",
    [
        "100000000",
        "99999999.995",
        "99999999.991",
        "10.005",
        "10.001",
        "10.000000000000000001",
        "10." + "0" * 60 + "1",
        "-0.01",
        "-1",
        "-1e-60",
        "1e-3",
        "1e-400",
        "1e8",
        "1e400",
        "1e999999",
        "1e999999999999999999999",
        "-1e-999999999999999999999",
        "9" * 400,
    ],
)
@pytest.mark.parametrize("field", ["price", "discount", "old_price"])
def test_a_price_that_breaks_a_limit_is_never_rounded(number: str, field: str) -> None:
    for token in (number, f'"{number}"'):
        assert outcome(b"1", event_json({PLACES.get(field, field): token})) == "invalid_event"


@pytest.mark.parametrize(
    "token",
    [
        *("true", "[]", "{}", "[0,[1],0]", "NaN", "-Infinity", '"NaN"', '"sNaN"', '"inf"', '"1_0"'),
        *('"\uff11"', '" 1"', '"1\\n"', '""', '"1,5"', '"0x1"'),
    ],
)
@pytest.mark.parametrize("field", ["price", "discount", "old_price"])
def test_a_price_is_a_plain_decimal_number(token: str, field: str) -> None:
    assert outcome(b"1", event_json({PLACES.get(field, field): token})) == "invalid_event"


@pytest.mark.parametrize("character", ["x", "é", "😀", "\\ud83d\\ude00"])
def test_a_name_has_from_1_to_255_characters(character: str) -> None:
    """Characters, as VARCHAR(255) counts them: neither bytes nor UTF-16 units."""
    names = {
        length: event_json({"product.product_name": f'"{character * length}"'})
        for length in (0, 1, 255, 256)
    }
    assert [outcome(b"1", names[length]) for length in (0, 1, 255, 256)] == [
        "invalid_event",
        "event",
        "event",
        "invalid_event",
    ]
    assert len(product_of(names[255])["product_name"]) == 255


@pytest.mark.parametrize(
    ("field", "token", "reason"),
    [
        ("stock_quantity", "0", "event"),
        ("stock_quantity", "2147483647", "event"),
        ("stock_quantity", "2147483648", "invalid_event"),
        ("stock_quantity", "-1", "invalid_event"),
        ("stock_quantity", "2.5", "invalid_event"),
        ("stock_quantity", "true", "invalid_event"),
        ("stock_quantity", "null", "invalid_event"),
        ("stock_quantity", "1e400", "invalid_event"),
        ("product_id", "0", "invalid_event"),
        ("product_id", "-1", "invalid_event"),
        ("product_id", "true", "invalid_event"),
        ("product_id", "null", "invalid_event"),
        ("product_id", "1.5", "invalid_event"),
        ("product_id", "9223372036854775808", "invalid_event"),
        ("product_name", "null", "invalid_event"),
        ("price", "null", "invalid_event"),
        ("product_name", "1", "invalid_event"),
        ("description", "1", "invalid_event"),
    ],
)
def test_other_fields_have_the_limits_of_the_table(field: str, token: str, reason: str) -> None:
    assert outcome(b"1", event_json({f"product.{field}": token})) == reason


def test_the_largest_product_id_is_read() -> None:
    value = event_json({"product.product_id": "9223372036854775807"})
    assert outcome(b"9223372036854775807", value) == "event"


@pytest.mark.parametrize(
    "place", ["product.product_name", "product.description", "event_id", "action"]
)
@pytest.mark.parametrize("text", ['"\\ud800"', '"a\\udfff"', '"\\ude00\\ud83d"'])
def test_a_lone_surrogate_is_a_dead_letter_wherever_it_would_be_kept(place: str, text: str) -> None:
    assert outcome(b"1", event_json({place: text})) == "invalid_event"


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
@pytest.mark.parametrize(
    "text",
    [
        *("2023-12-01T10:30:00Z", "2023-12-01T10:30:00+00:00", "2023-12-01T10:30:00"),
        *("2023-12-01T12:30:00+02:00", "2023-12-01T05:00:00-05:30", "2023-12-01T10:30:00.000"),
    ],
)
def test_every_form_of_a_time_is_the_same_instant_wherever_the_worker_runs(text: str) -> None:
    """Any offset is read; a time without one is UTC, not the time of the machine."""
    changes = {"timestamp": f'"{text}"', "product.created_at": f'"{text}"'}
    read = seen(CODEC.read(b"1", event_json(changes)))
    assert read.event_time == 1_701_426_600_000_000
    assert read.timestamp == "2023-12-01T10:30:00.000000Z"
    assert read.product["created_at"] == datetime(2023, 12, 1, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0001-01-01T00:00:00Z", "event"),
        ("9999-12-31T23:59:59.999999Z", "event"),
        ("0001-01-01T00:00:00+00:01", "invalid_event"),
        ("9999-12-31T23:59:59.999999-00:01", "invalid_event"),
        ("2023-02-29T00:00:00Z", "invalid_event"),
        ("2023-12-01T10:30:61Z", "invalid_event"),
        ("2023-12-01T10:30:00+24:00", "invalid_event"),
        ("2023-12-01", "invalid_event"),
        ("1701426600", "invalid_event"),
        ("", "invalid_event"),
    ],
)
@pytest.mark.parametrize("place", ["timestamp", "product.created_at", "product.updated_at"])
def test_a_time_is_within_the_years_1_to_9999_of_utc(place: str, text: str, reason: str) -> None:
    assert outcome(b"1", event_json({place: f'"{text}"'})) == reason


def test_a_huge_exponent_is_refused_at_once() -> None:
    """Written out, `1e999999999` has a billion digits: one short record would stop a partition."""
    code = "from tests.core.test_limits import refuse_huge_exponents as go; go()"
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True, cwd=ROOT)


def refuse_huge_exponents() -> None:
    for place in (*PLACES.values(), "old_price", "event_id", "action", "timestamp"):
        for sign in ("", "-"):
            assert outcome(b"1", event_json({place: f"{sign}1e999999999"})) == "invalid_event"
