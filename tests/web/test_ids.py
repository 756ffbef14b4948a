"""Ids in addresses and as cursors: whatever they are, they come back as they were."""

from itertools import pairwise
from pathlib import Path
from random import Random
from urllib.parse import unquote, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.keys import Id
from dedup.core.state import State
from dedup.entities.product import PRODUCT
from dedup.web.entity_view import shown_id
from dedup.web.ids import Ids, from_segment, segment, successor
from tests.web.orders import HOSTILE, ORDER, READING
from tests.web.shelves import Shelf, rows_state, walk

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    st.text("~27/\\.%EFC", min_size=1, max_size=8),
    st.sampled_from(HOSTILE),
)


@given(TEXTS)
def test_a_segment_is_one_part_of_a_path_and_leads_back_to_its_id(text: str) -> None:
    """Also behind a proxy that decodes paths and resolves them before it passes them on."""
    written = segment(text)
    assert from_segment(unquote(written)) == text
    assert urljoin("http://a/orders/b", written) == f"http://a/orders/{written}"
    decoded = unquote(written)
    assert not set(decoded) & {"/", "\\"}
    assert decoded not in (".", "..")


@given(TEXTS, TEXTS)
def test_no_id_is_between_an_id_and_its_successor(one: str, other: str) -> None:
    following = successor(one)
    assert isinstance(following, str)
    assert one < following
    assert other <= one or other >= following
    assert (one < other) == (one.encode() < other.encode()), "the order of the store"


def test_no_two_hostile_ids_look_the_same() -> None:
    shown = sorted(map(shown_id, HOSTILE))
    assert all(one != other for one, other in pairwise(shown))
    assert shown_id(" ") == '" "'
    assert shown_id("\u202egnp.exe") == '"\\u202egnp.exe"'


@pytest.mark.parametrize(
    ("text", "product", "reading"),
    [
        ("1", 1, 1),
        ("0", None, 0),
        ("-5", None, -5),
        ("9223372036854775807", 2**63 - 1, 2**63 - 1),
        ("9223372036854775808", None, None),
        ("-9223372036854775808", None, -(2**63)),
        *((text, None, None) for text in ("", "x", "1.0", " 1", "1_0", "٣", "+1", "1e3", "true")),
    ],
)
def test_an_integer_is_read_as_an_id_within_its_bounds(
    text: str, product: int | None, reading: int | None
) -> None:
    assert Ids(PRODUCT).read(text) == product
    assert Ids(READING).read(text) == reading


def test_what_is_expected_is_said_with_its_bounds() -> None:
    assert Ids(PRODUCT).expected == "A product_id is a number from 1 to 2^63-1."
    assert Ids(READING).expected == "A reading_id is a number from -2^63 to 2^63-1."
    assert Ids(ORDER).expected == "An order_id is a text of 1 to 64 characters."
    assert [Ids(ORDER).read(text) for text in ("", "x" * 65, "a\0b")] == [None, None, None]
    with pytest.raises(ValueError, match=r"a reading_id: a number from -2\^63 up to 2\^63-1"):
        Ids(READING).read_cursor("-9223372036854775809")
    with pytest.raises(ValueError, match="UTF-8"):
        Ids(ORDER).read_cursor("\ud800")


def random_ids(random: Random, entity: str) -> set[Id]:
    if entity == "ORDER":
        letters = "aZ/é~\U0010ffff\uffff .%"
        some = {"".join(random.choices(letters, k=random.randint(1, 4))) for _ in range(400)}
        return {*HOSTILE, *some}
    edges = {-(2**63), 1 - 2**63, -1, 0, 1, 2**63 - 1}
    return {*edges, *(random.randint(-(10**12), 10**12) for _ in range(400))}


@pytest.mark.parametrize("search", ["", "AB"])
@pytest.mark.parametrize("entity", ["ORDER", "READING"])
async def test_a_walk_over_ids_of_any_kind_shows_each_row_once_both_ways(
    tmp_path: Path, entity: str, search: str
) -> None:
    random = Random(f"{entity}{search}")
    shelf = Shelf(tmp_path / "state", f"tests.web.orders:{entity}")
    texts = {
        row_id: None if random.random() < 0.3 else random.choice(("Cab", "ABC", "x"))
        for row_id in random_ids(random, entity)
    }
    states: dict[Id, State] = {i: rows_state(entity, i, text) for i, text in texts.items()}
    shelf.fill_states(states, random)
    wanted = [
        row_id
        for row_id in sorted(texts, key=lambda i: i.encode() if isinstance(i, str) else i)
        if texts[row_id] is not None
        and (
            search == "" or "ab" in str(texts[row_id]).casefold() or "ab" in str(row_id).casefold()
        )
    ]
    assert await walk(shelf, search, backwards=False) == wanted
    assert await walk(shelf, search, backwards=True) == wanted
    await shelf.close()
