"""Single events as JSON text: the seed's example, changed token by token or mutilated at random."""

import json
import random
from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

from dedup.core.dead_letter import DeadLetter
from tests.support.products import CODEC

EVENT: Final[dict[str, Any]] = {
    "event_id": "evt_1_1640995200_1234",
    "action": "updated",
    "timestamp": "2023-12-01T10:30:00.123456+00:00",
    "processed": False,
    "product": {
        "product_id": 1,
        "product_name": "Laptop Pro",
        "description": "High-performance laptop",
        "price": "1299.99",
        "stock_quantity": 25,
        "discount": "0.00",
        "created_at": "2023-12-01T09:00:00.000000+00:00",
        "updated_at": "2023-12-01T10:30:00.123456+00:00",
    },
    "old_price": "1199.99",
}
PLACES: Final = {field: f"product.{field}" for field in EVENT["product"]}


def event_json(changes: Mapping[str, str | None] | None = None) -> bytes:
    """The seed's event; `changes` gives tokens for paths, None takes the field away."""
    changes = changes or {}
    product = _members(EVENT["product"], "product.", changes)
    outer = _members(EVENT, "", {"product": "{" + product + "}", **changes})
    return ("{" + outer + "}").encode()


def outcome(key: bytes | None, value: bytes | None) -> str:
    """The reason of the dead letter, or "event"."""
    read = CODEC.read(key, value)
    return read.reason if isinstance(read, DeadLetter) else "event"


def _members(document: Mapping[str, Any], prefix: str, changes: Mapping[str, str | None]) -> str:
    tokens = {name: json.dumps(value) for name, value in document.items()}
    named = {p.removeprefix(prefix): t for p, t in changes.items() if p.startswith(prefix)}
    tokens |= {name: token for name, token in named.items() if "." not in name}  # type: ignore[misc]
    return ",".join(f'"{name}":{token}' for name, token in tokens.items() if token is not None)


_DAY_ENDS: Final = [
    f'"{time}{zone}"'
    for time in (
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59.999999",
        "2024-02-29T23:59:59.999999",
        "2023-02-29T00:00:00.000000",
        "2023-12-01T24:00:00",
        "2023-12-01T10:30:60",
        "0000-12-01T10:30:00",
        "2023-12-01 10:30:00.1",
        "2023-12-01T10:30",
    )
    for zone in ("Z", "+00:00", "-00:00", "", "+14:00", "-12:00", "+24:00", "z")
]
TOKENS: Final = [
    *("null", "true", "0", "-0", "-0.0", "1", "-1", "1.0", "1e0", "25.0", "01", "1e5", "1E400"),
    *("9223372036854775807", "9223372036854775808", "2147483647", "2147483648", "1" * 5000),
    *('"1"', '"01"', '"1.00"', '"01.00"', '"-0.00"', '"0.00"', '"99999999.99"', '"100000000.00"'),
    *('"10.005"', '"10.00\\n"', '"1e1"', "10.000000000000000001", '"+1.00"', '"1_0.00"', '"1.0"'),
    *("NaN", "Infinity", "-Infinity", '"NaN"', '"Infinity"', '"\\ud800"', '"\\ud83d\\ude00"'),
    *('"\\u0000"', '"\\\\u0000"', '"\x00"', '"\t"', '"\x7f"', '""', '"x"', '"é"', '"\\/"'),
    *(f'"{c * n}"' for c in ("x", "😀") for n in (255, 256)),
    *("[]", "{}", "[" * 300 + "]" * 300, "[" * 5000 + "]" * 5000, '{"a":1,"a":2}', "1,", "'x'"),
    *_DAY_ENDS,
]
BROKEN_UTF8: Final = [
    *(b"\x80", b"\xbf", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc3(", b"\xe2(\x82", b"\xff"),
    # Overlong, surrogates, beyond U+10FFFF.
    *(b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80"),
    *(b"\xf0\x8f\xbf\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80"),
    *(b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80"),
]
UTF8: Final = [
    *(text.encode() for text in ("\x80", "é", "\u07ff", "\u0800", "日本", "\ud7ff", "\ue000")),
    *(text.encode() for text in ("\uffff", "\U00010000", "😀", "\U0010ffff", "aé日😀" * 20)),
]
PATHS: Final = [*(p for p in EVENT if p != "product"), *PLACES.values()]
ADDED: Final = ["extra", "product.extra"]


def with_utf8(draw: random.Random, value: bytes) -> bytes:
    """Put bytes, broken or not, behind a quotation mark: half of these begin a text or a name."""
    marks = [at for at, byte in enumerate(value, 1) if byte == ord('"')]
    if not marks:
        return value
    at = draw.choice(marks)
    return value[:at] + draw.choice([*BROKEN_UTF8, *UTF8, *UTF8]) + value[at:]


@st.composite
def mutated_events(draw: st.DrawFn) -> bytes:
    """An event with a few of its values, members or bytes changed."""
    tokens = st.none() | st.sampled_from(TOKENS) | st.text().map(json.dumps)
    changes = draw(st.dictionaries(st.sampled_from(PATHS + ADDED), tokens, max_size=3))
    value = event_json({"action": draw(st.sampled_from(['"created"', '"updated"'])), **changes})
    kind = draw(st.integers(0, 11))
    if kind == 0:
        again = draw(st.sampled_from(['"action":"x"', '"timestamp":1', '"product":{}', '"p":1']))
        value = value[:-1] + b"," + again.encode() + b"}"
    elif kind == 1:
        value = value.replace(b'"product_id"', b'"price":"7.00","product_id"')
    elif kind == 2:
        at = draw(st.integers(0, len(value)))
        value = value[:at] + draw(st.binary(max_size=3)) + value[at + draw(st.integers(0, 3)) :]
    elif kind == 3:
        prefix = draw(st.sampled_from([b"\xef\xbb\xbf", b" ", b"\n", b"\x00", b"[", b"//"]))
        value = prefix + value
    elif kind == 4:
        encoding = draw(st.sampled_from(["utf-16", "utf-32", "utf-8-sig", "utf-7"]))
        value = value.decode().encode(encoding, "replace")
    return value
