"""Input made to break readers: JSON tokens, whole values, keys and headers."""

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final

from hypothesis import strategies as st

from tests.core.records import ADDED, PATHS, TOKENS, event_json, mutated_events

MB: Final = 1_000_000

HOSTILE: Final = [
    *TOKENS,
    *("-1", "-9223372036854775808", "9223372036854775809", "18446744073709551616", "1" * 4301),
    *("1e400", "-1e400", "1e-400", "1e999999999", '"1e999999999"', '"0e999999999"', "0e-999999999"),
    *("1." + "0" * 5000, '"1.' + "0" * 5000 + '"', "0." + "0" * 5000 + "1", "1" * 400 + ".5"),
    *('"9999-12-31T23:59:59Z"', '"9999-12-31T23:59:59-23:59"', '"0001-01-01T00:00:00+23:59"'),
    *('"2023-12-01T10:30:00"', '"2023-12-01T10:30:00+05:30"', '"2023-12-01T10:30:00-0530"'),
    *('"2023-12-01T10:30:00.' + "1" * 5000 + 'Z"', '"-2023-12-01T10:30:00Z"', '"2023-W48-5"'),
    *('"\\ud800\\ud800"', '"\\udc00\\ud800"', '"\\u0000\\u0000"', '"\\uffff"', '"\\u202e"'),
    *('"<script>alert(1)</script>"', '"\r\nInjected: header"', '"\x1b[2J"', '"\\u2028"'),
    *('{"price":1,"price":2}', '{"product_id":1,"product_id":2}', '{"":{"":{}}}'),
    *('{"a":' * 2000 + "1" + "}" * 2000, "[" * 100_000, '{"a":' * 100_000, '"' + "\\" * 1001),
]
"""Tokens to stand in the place of any value of an event."""

ENCODINGS: Final = ("utf-16", "utf-16-be", "utf-32", "utf-8-sig", "utf-7", "cp500", "latin-1")

WHOLE: Final = [
    *(
        b"",
        b" ",
        b"null",
        b"0",
        b"[]",
        b"{}",
        b'""',
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xc0\x80",
    ),
    *(b"{" * 1000, b"[" * 100_000, b"\x00\x00\x00\x00\x01" + event_json(), event_json() * 2),
    *(event_json().decode().encode(encoding) for encoding in ENCODINGS),
    *(event_json()[:-1] + b',"product":' + p + b"}" for p in (b"null", b"{}", b"[]", b"1")),
]
"""Values that are no event at all, or one in the wrong encoding or with a second product."""


def large_values(size: int, only: str = "") -> dict[str, bytes]:
    """Events of about `size` bytes, each a different way to make a reader work."""
    tokens: dict[str, Callable[[], str]] = {
        "a long name": lambda: '"' + "x" * size + '"',
        "escapes": lambda: '"' + "\\u00e4" * (size // 6) + '"',
        "pairs of surrogates": lambda: '"' + "\\ud83d\\ude00" * (size // 12) + '"',
        "a lone surrogate at the end": lambda: '"' + "x" * size + '\\ud800"',
        "digits": lambda: "1" * size,
        "digits as text": lambda: '"' + "1" * size + '"',
        "a fraction of zeros": lambda: "1." + "0" * size,
        "a fraction of zeros as text": lambda: '"1.' + "0" * size + '"',
        "a long fraction": lambda: "0." + "1" * size,
        "a long exponent": lambda: "1e" + "9" * size,
        "opened lists": lambda: "[" * size,
        "nested lists": lambda: "[" * (size // 2) + "]" * (size // 2),
        "nested objects": lambda: '{"a":' * (size // 6) + "1" + "}" * (size // 6),
        "a long list": lambda: "[" + "1," * (size // 2) + "1]",
        "a list of fractions": lambda: "[" + "1.5," * (size // 4) + "1]",
        "many members": lambda: "{" + ",".join(f'"{n}":1' for n in range(size // 10)) + "}",
        "one member many times": lambda: "{" + ",".join(['"a":1'] * (size // 6)) + "}",
        "a fraction of a second": lambda: '"2023-12-01T10:30:00.' + "1" * size + 'Z"',
        "blanks": lambda: " " * size + "1",
    }
    places = ["extra", "product.price", "product.product_id", "product.description", "timestamp"]
    values = {
        f"{name} in {place}": event_json({place: make()})
        for name, make in tokens.items()
        if only in ("", name)
        for place in places
    }
    return values | {"zero bytes": bytes(size), "no JSON": b"\xff" * size, "text": b"x" * size}


def mutilated(random: Random, value: bytes, other: bytes) -> bytes:
    """A value with some bytes changed, cut out, doubled, or exchanged for those of another."""
    data = bytearray(value)
    for _ in range(random.randint(1, 4)):
        start = random.randrange(len(data) + 1)
        end = min(len(data), start + random.choice((0, 1, 1, 2, 8, 64)))
        kind = random.randrange(5)
        if kind == 0:
            data[start:end] = random.randbytes(end - start)
        elif kind == 1:
            del data[start:end]
        elif kind == 2:
            data[start:start] = data[start:end] * random.choice((1, 1, 2, 50))
        elif kind == 3:
            begin = random.randrange(len(other) + 1)
            data[start:end] = other[begin : begin + 16]
        else:
            data[start:end] = random.choice(HOSTILE)[:200].encode()
    return bytes(data)


@st.composite
def hostile_events(draw: st.DrawFn) -> bytes:
    """An event with hostile tokens in the places of some values."""
    places = st.sampled_from(PATHS + ADDED)
    tokens = st.none() | st.sampled_from(HOSTILE)
    changes = draw(st.dictionaries(places, tokens, max_size=3))
    action = draw(st.sampled_from(("created", "updated", "deleted", "x")))
    return event_json({"action": json.dumps(action), **changes})


def json_documents() -> st.SearchStrategy[bytes]:
    """Any JSON at all, with the names of an event among its own."""
    names = st.sampled_from([p.rpartition(".")[2] for p in PATHS] + ["product"]) | st.text()
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()

    def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=8)

    return st.recursive(scalars, nested, max_leaves=10).map(
        lambda found: json.dumps(found).encode()
    )


def values() -> st.SearchStrategy[bytes | None]:
    """Values of records: most of them nearly events."""
    return (
        hostile_events()
        | mutated_events()
        | json_documents()
        | st.sampled_from(WHOLE)
        | st.none()
        | st.binary()
    )


def keys() -> st.SearchStrategy[bytes | None]:
    """Keys of records: most of them the one that fits the events above."""
    ids = (0, 1, 2, 2**31, 2**63 - 1, 2**63, 2**64, -1, 10**400)
    odd = [str(number).encode() for number in ids]
    odd += [b"", b"01", b" 1", b"1_0", b"+1", "\u0661".encode(), b'{"product_id":1}', b"\xff"]
    return st.just(b"1") | st.just(b"1") | st.sampled_from([None, *odd]) | st.binary(max_size=50)


def headers() -> st.SearchStrategy[list[tuple[str, bytes | None]]]:
    """Headers of records: ours among them, with any content or none."""
    ours = ["dedup.errors.reason", "__streams.errors.exception", "dedup.source", ""]
    return st.lists(
        st.tuples(st.sampled_from(ours) | st.text(max_size=20), st.none() | st.binary(max_size=40)),
        max_size=4,
    )
