"""The canonical text of JSON is one, however it is read."""

import json
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dedup.core import canonical_json as module
from dedup.core.canonical_json import canonical_json, canonical_text
from dedup.core.strict_json import LONGEST_NUMBER, read_json
from tests.core.histories import MANY

SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1, 10**40, "\x00", "\\u0000"])
)
VALUES: Final = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def said_of(text: bytes) -> tuple[bytes | None, bytes | None]:
    """What comes of a text by either way; None where it is refused."""
    found: list[bytes | None] = []
    for read in (canonical_text, lambda text: canonical_json(read_json(text))):
        try:
            found.append(read(text))
        except ValueError:
            found.append(None)
    return found[0], found[1]


@MANY
@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_a_document_has_one_text_by_either_way(
    value: object, escaped: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=escaped, indent=indent).encode("utf-8", "surrogatepass")
    ours, exact = said_of(text)
    assert ours == exact


@MANY
@given(st.binary() | st.text(alphabet='[]{}":,0123456789.eE-+\\u/ntrflase ').map(str.encode))
@example(b'{"a":1,"a":2}')
@example(b'{"a":1e400,"a":2}')
@example(b"-0")
@example(b"\xef\xbb\xbf[]")
@example(b'"\\ud800"')
@example(b'["\xed\xa0\x80"]')
@example(b"[" * 5_000)
def test_any_bytes_are_taken_or_refused_by_either_way(text: bytes) -> None:
    ours, exact = said_of(text)
    assert ours == exact


@pytest.mark.parametrize("digits", [LONGEST_NUMBER - 1, LONGEST_NUMBER, LONGEST_NUMBER + 1])
@pytest.mark.parametrize("sign", ["", "-"])
def test_very_long_numbers_are_taken_or_refused_by_either_way(digits: int, sign: str) -> None:
    ours, exact = said_of(f"[{sign}{'9' * digits}]".encode())
    assert ours == exact


@pytest.mark.parametrize("depth", [99, 100, 101, 300, 5_000])
def test_deep_documents_are_taken_or_refused_by_either_way(depth: int) -> None:
    ours, exact = said_of(b"[" * depth + b"]" * depth)
    assert ours == exact


def test_a_document_without_fractions_is_read_by_msgspec_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "read_json", None)
    assert canonical_text(b'{"b": [1, null], "a": "\xc3\xa9"}') == b'{"a":"\xc3\xa9","b":[1,null]}'
