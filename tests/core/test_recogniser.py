"""The recogniser in Python, the compiled one and pydantic say the same of every event.

`DEDUP_DIFFERENTIAL=200000` sets how many mutated events are compared; by default a few thousand.
"""

import json
import os
import random
import sysconfig
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from shutil import which
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dedup.core.codec import Codec
from dedup.core.dead_letter import DeadLetter
from dedup.core.entity import Entity
from dedup.core.normal_event import EventKind
from dedup.core.recogniser import IS_COMPILED
from dedup.entities.product import PRODUCT
from tests.core.histories import MANY
from tests.core.orders import DEBEZIUM, FLAT, ORDER, WRAPPED, document_of, mutated
from tests.core.records import ADDED, PATHS, TOKENS, event_json, mutated_events, with_utf8

NOW: Final = "2026-01-01T00:00:00.000000Z"
LARGE: Final = "x" * 20_000
"""More than the buffers of the compiled recogniser hold."""

TIMES: Final = [
    *("2023-12-01T10:30:00Z", "2023-12-01T10:30:00+00:00", "2023-12-01T10:30:00.5Z"),
    *("2023-12-01T10:30:00.123456+00:00", "2023-12-01T10:30:00.1234567Z", "2023-12-01T10:30:00.Z"),
    *("2024-02-29T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z"),
    *("2000-02-29T23:59:59.999999Z", "2023-12-31T24:00:00Z", "2023-04-31T00:00:00Z"),
    *("0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
    *("2023-00-01T00:00:00Z", "2023-13-01T00:00:00Z", "2023-12-00T00:00:00Z"),
    *("2023-12-01T10:60:00Z", "2023-12-01T10:30:60Z", "2023-12-01T10:30:00", "2023-12-01"),
    *("2023-12-01T10:30:00-00:00", "2023-12-01T10:30:00+01:00", "2023-12-01 10:30:00Z"),
    *("2023-12-01T10:30:00.123+00:00", "2023-12-01t10:30:00z", "20231201T103000Z", ""),
    *("٢٠٢٣-12-01T10:30:00Z", "2023-12-01T10:30:00.12345٦Z", "2023-12-01T10:30:00ZZ"),
]
TEXTS: Final = ["x", "é", "日本", "😀", '"', "\\", "\n", "\x7f", "\x1f", "\u2028", "/", "a" * 255]
DECIMALS: Final = [
    *("0.00", "00.00", "0.0", "0.000", "1.5", ".50", "1.", "12345678.90", "123456789.90", "-1.00"),
    *("1,00", "1e2", "", "1.0a", "a.00", "1.00 ", "٣.00", "+1.00", "1 .00", "01.00", "1.00\n"),
]


def both(entity: Entity, content: tuple[str, ...] | None = None) -> tuple[Codec, Codec]:
    return Codec(entity, content, compiled=False), Codec(entity, content)


PAIRS: Final = {
    "product": both(PRODUCT),
    "product, price": both(PRODUCT, ("price",)),
    "product, ends": both(PRODUCT, ("product_name", "discount")),
    "order": both(WRAPPED),
    "order, some": both(WRAPPED, ("note", "is_gift", "lines", "weight")),
    "flat": both(FLAT),
    "flat, one": both(FLAT, ("total",)),
}
each_pair = pytest.mark.parametrize("pair", PAIRS.values(), ids=list(PAIRS))


def agree(pair: tuple[Codec, Codec], key: bytes | None, value: bytes | None) -> str:
    """Hold the three against each other on one record; return what it was."""
    pure, compiled = pair
    recognised = compiled.recognise(key, value, NOW)
    assert recognised == pure.recognise(key, value, NOW), (key, value)
    said = pure.read(key, value)
    if isinstance(said, DeadLetter):
        assert recognised is None, (key, value, said)
        return said.reason
    if recognised is None:
        return said.kind
    assert said.kind is EventKind.UPSERT
    whole = pure.whole(said, None)
    assert not isinstance(whole, DeadLetter)
    assert recognised == (said.id, said.time, whole.canonical, pure.row(said, whole, NOW))
    return "recognised"


def products(count: int, seed: int) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Events of products with members, tokens or bytes changed, by a seeded generator."""
    draw = random.Random(seed)
    quoted = [f'"{text}"' for text in (*TIMES, *DECIMALS)]
    tokens = (None, *TOKENS, *quoted)
    for _ in range(count):
        paths = draw.choices([*PATHS, *ADDED], k=draw.choice((0, 1, 1, 2)))
        value = event_json({path: draw.choice(tokens) for path in paths})
        kind = draw.randrange(20)
        if kind == 0:
            at = draw.randrange(len(value))
            value = value[:at] + draw.randbytes(draw.randrange(3)) + value[at + 1 :]
        elif kind == 1:
            value = value.replace(b",", b" ,\n ")
        elif kind in (2, 3):
            value = with_utf8(draw, value)
        yield draw.choice((b"1", b"1", b"1", b"1", b"2", b"01", b"", None)), value


@each_pair
def test_the_three_agree_on_mutated_events(pair: tuple[Codec, Codec]) -> None:
    events = int(os.environ.get("DEDUP_DIFFERENTIAL", "4000"))
    entity = pair[0].entity
    made = products(events, 5) if entity is PRODUCT else mutated(entity, events, 5)
    seen = Counter(agree(pair, key, value) for key, value in made)
    assert {"recognised", "upsert", "key_mismatch", "invalid_json", "invalid_event"} <= seen.keys()
    assert seen["recognised"] > events / 20


@MANY
@given(st.sampled_from((b"1", b"2", None)), mutated_events())
def test_the_three_agree_on_any_event(key: bytes | None, value: bytes) -> None:
    agree(PAIRS["product"], key, value)


@MANY
@given(st.sampled_from((b"1", b"\xff", None)), st.none() | st.binary())
@example(b"1", b"[" * 100_000)
@example(b"1", b'{"product":' * 10_000)
def test_the_three_agree_on_any_bytes(key: bytes | None, value: bytes | None) -> None:
    for pair in PAIRS.values():
        agree(pair, key, value)


@pytest.mark.parametrize("text", TIMES)
def test_the_three_agree_on_times(text: str) -> None:
    token = f'"{text}"'
    for path in ("timestamp", "product.created_at", "product.updated_at"):
        agree(PAIRS["product"], b"1", event_json({path: token}))
    order = document_of(ORDER, {"updated_at": token})
    event = f'{{"at":1701426600123,"action":"updated","order":{order}}}'
    agree(PAIRS["order"], b"AB-1", event.encode())


@pytest.mark.parametrize("text", DECIMALS)
def test_the_three_agree_on_decimals(text: str) -> None:
    token = '"' + text.replace("\n", "\\n") + '"'
    for path in ("product.price", "product.discount", "old_price"):
        agree(PAIRS["product"], b"1", event_json({path: token}))


@MANY
@given(st.sampled_from(TEXTS) | st.text(max_size=300))
@example(LARGE)
def test_the_three_agree_on_texts(text: str) -> None:
    """Every character is written as msgspec writes it, in UTF-8 or escaped."""
    for escaped in (True, False):
        token = json.dumps(text, ensure_ascii=escaped)
        for path in ("product.product_name", "product.description", "event_id", "action"):
            agree(PAIRS["product"], b"1", event_json({path: token}))


@pytest.mark.parametrize("first", range(0x80, 0x100))
def test_utf8_is_checked_as_strictly_as_python_decodes_it(first: int) -> None:
    """In a member that no codec reads, at every place within the bytes that are read together."""
    before, after = event_json({"extra": '"@"'}).split(b"@")
    edges = (0x20, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
    for place, rest in enumerate(product(edges, repeat=3)):
        text = b"x" * (place % 33) + bytes([first, *rest])
        is_utf8 = text.decode(errors="replace").encode() == text
        for codec in PAIRS["product"]:
            recognised = codec.recognise(b"1", before + text + after, NOW)
            assert (recognised is not None) == is_utf8, text


@pytest.mark.parametrize("size", range(16_000, 16_500, 7))
def test_a_row_of_about_the_size_of_the_buffers_is_recognised(size: int) -> None:
    value = event_json({"product.description": f'"{"x" * size}"'})
    assert agree(PAIRS["product"], b"1", value) == "recognised"


def test_a_compiler_makes_it_compiled_and_the_codec_says_so() -> None:
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    can_compile = which("cc") is not None and headers.exists()
    assert can_compile <= IS_COMPILED
    assert Codec(PRODUCT).recogniser == ("compiled" if IS_COMPILED else "pure")
    assert Codec(PRODUCT, compiled=False).recogniser == "pure"
    assert Codec(DEBEZIUM).recogniser == "pure"
