"""The fingerprint: golden vectors, what is equal, what is not."""

from hashlib import blake2b
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedup.core.codecs import with_content_of
from dedup.core.fingerprint import FINGERPRINT_BYTES
from tests.core.histories import MANY
from tests.core.records import event_json
from tests.support.products import CODEC, CONTENT_FIELDS, fingerprint, rules, seen

LAPTOP = {
    "product_name": "Laptop Pro",
    "description": None,
    "price": "1299.99",
    "stock_quantity": 25,
    "discount": "0.00",
}
ODD = {
    "product_name": 'Caf\u00e9 "\\\n\u2028\U0001f600',
    "description": "\x7f\t/",
    "price": "0.00",
    "stock_quantity": 2**31 - 1,
    "discount": "99999999.99",
}
ODD_CANONICAL = (
    b'["Caf\xc3\xa9 \\"\\\\\\n\xe2\x80\xa8\xf0\x9f\x98\x80","\x7f\\t/","0.00",2147483647,'
    b'"99999999.99"]'
)
ALL_NAMES = b"product_name,description,price,stock_quantity,discount"


def of(changes: dict[str, str | None], fields: tuple[str, ...] = CONTENT_FIELDS) -> bytes:
    """The fingerprint of an event, over the defaults."""
    return fingerprint(seen(CODEC.read(b"1", event_json(changes))).product, fields)


@pytest.mark.parametrize(
    ("product", "fields", "names", "canonical", "golden"),
    [
        (
            LAPTOP,
            CONTENT_FIELDS,
            ALL_NAMES,
            b'["Laptop Pro",null,"1299.99",25,"0.00"]',
            "017a6a8730dc42851f6db182355b06e0170e0afaf2",
        ),
        (
            ODD,
            CONTENT_FIELDS,
            ALL_NAMES,
            ODD_CANONICAL,
            "017a6a873012594534613b5909e73bf3c28898030c",
        ),
        (
            LAPTOP,
            ("price",),
            b"price",
            b'["1299.99"]',
            "01876d9bf6c3d089c1287552bef655c3a81705b242",
        ),
        (
            LAPTOP,
            ("discount", "product_name"),
            b"product_name,discount",
            b'["Laptop Pro","0.00"]',
            "01a71a4ce81ca989cdff9ef0c11ae54f445f61367a",
        ),
    ],
)
def test_golden_vectors(
    product: dict[str, Any], fields: tuple[str, ...], names: bytes, canonical: bytes, golden: str
) -> None:
    """Fingerprints stand in headers and databases: a change of them is a new version."""
    names_digest = blake2b(names, digest_size=4).digest()
    by_hand = b"\x01" + names_digest + blake2b(canonical, digest_size=16).digest()
    assert fingerprint(product, fields).hex() == golden
    assert by_hand.hex() == golden
    assert len(by_hand) == FINGERPRINT_BYTES


def test_every_form_of_a_price_has_one_fingerprint() -> None:
    forms = ['"10.0"', '"10.00"', '"10"', '"1e1"', "10", "10.0", "10.00", "1e1", "1E+1"]
    assert len({of({"product.price": form}) for form in forms}) == 1
    assert len({of({"product.discount": form}) for form in forms}) == 1


@pytest.mark.parametrize(
    ("field", "default"),
    [("description", "null"), ("discount", "null"), ("discount", "0"), ("stock_quantity", "0")],
)
def test_a_missing_field_has_the_fingerprint_of_its_default(field: str, default: str) -> None:
    place = f"product.{field}"
    assert of({place: None}) == of({place: default})


def test_escapes_are_no_content() -> None:
    forms = ['"\u00e9\U0001f600/"', '"\\u00e9\\ud83d\\ude00\\/"', '"\\u00E9\\uD83D\\uDE00/"']
    assert len({of({"product.product_name": form}) for form in forms}) == 1


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("event_id", '"other"'),
        ("action", '"price_changed"'),
        ("timestamp", '"2024-01-01T00:00:00Z"'),
        ("old_price", "null"),
        ("processed", "true"),
        ("product.created_at", "null"),
        ("product.updated_at", '"2024-01-01T00:00:00Z"'),
        ("product.colour", '"red"'),
        ("colour", '"red"'),
    ],
)
def test_what_is_not_content_does_not_count(path: str, token: str) -> None:
    assert of({path: token}) == of({})


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("product_name", '"Laptop pro"'),
        ("product_name", '"Laptop Pro "'),
        ("description", '""'),
        ("description", "null"),
        ("description", '"null"'),
        ("price", '"1299.98"'),
        ("stock_quantity", "24"),
        ("discount", '"0.01"'),
    ],
)
def test_each_content_field_counts(path: str, token: str) -> None:
    assert of({f"product.{path}": token}) != of({})


def test_a_null_description_is_not_the_text_null_nor_an_empty_one() -> None:
    texts = ["null", '"null"', '""', '"None"']
    assert len({of({"product.description": text}) for text in texts}) == len(texts)


texts = st.text() | st.text('a",b[]null\\', max_size=8)
products = st.fixed_dictionaries(
    {
        "product_name": texts,
        "description": st.none() | texts,
        "price": st.sampled_from(["0.00", "1.00", "10.00"]),
        "stock_quantity": st.integers(0, 3),
        "discount": st.sampled_from(["0.00", "1.00"]),
    }
)


@given(one=products, other=products)
@MANY
def test_different_contents_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (one == other)


def test_a_name_that_looks_like_a_separator_moves_nothing() -> None:
    one = {**LAPTOP, "product_name": 'a","b', "description": "c"}
    other = {**LAPTOP, "product_name": "a", "description": 'b","c'}
    third = {**LAPTOP, "product_name": 'a","b","c', "description": None}
    assert len({fingerprint(product) for product in (one, other, third)}) == 3


def test_the_order_of_the_setting_does_not_matter() -> None:
    assert fingerprint(LAPTOP, CONTENT_FIELDS[::-1]) == fingerprint(LAPTOP, CONTENT_FIELDS)
    some = ("price", "discount", "product_name")
    assert fingerprint(LAPTOP, some) == fingerprint(LAPTOP, some[::-1])
    assert rules(CONTENT_FIELDS[::-1]) == rules()
    assert rules(some) == rules(some[::-1])


def test_fingerprints_of_different_field_choices_are_never_equal() -> None:
    """Also where the chosen contents are: they differ before the digest of the content begins."""
    same = dict.fromkeys(CONTENT_FIELDS, "1.00")
    choices = [
        fields
        for size in range(1, len(CONTENT_FIELDS) + 1)
        for fields in combinations(CONTENT_FIELDS, size)
    ]
    heads = {fingerprint(same, fields)[:5] for fields in choices}
    assert len(heads) == len(choices) == 31


def test_a_fingerprint_tells_the_choice_of_fields_that_made_it() -> None:
    for size in range(1, len(CONTENT_FIELDS) + 1):
        for fields in combinations(CONTENT_FIELDS, size):
            made_by = with_content_of(CODEC, fingerprint(LAPTOP, fields))
            assert made_by is not None
            assert made_by.content == fields
    assert with_content_of(CODEC, b"\x02" + fingerprint(LAPTOP)[1:]) is None
    assert with_content_of(CODEC, bytes(FINGERPRINT_BYTES)) is None


@pytest.mark.parametrize("fields", [(), ("price", "colour"), ("product_id",), ("created_at",)])
def test_a_choice_of_no_or_other_fields_is_refused(fields: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="content fields are chosen from product_name, "):
        rules(fields)


def test_a_field_that_is_not_chosen_does_not_count() -> None:
    fields = ("price", "stock_quantity")
    assert of({"product.product_name": '"other"'}, fields) == of({}, fields)
    assert of({"product.stock_quantity": "1"}, fields) != of({}, fields)
