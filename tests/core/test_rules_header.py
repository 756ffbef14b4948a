"""The header that says with which rules a record was made."""

from itertools import combinations
from typing import Any

import pytest

from dedup.core.codecs import codec_for
from dedup.core.decide import Rules
from dedup.core.fingerprint import SCHEME_BYTES
from dedup.core.rules_header import RULES_HEADER, rules_headers, rules_of_record
from dedup.entities.product import PRODUCT
from tests.core.orders import FLAT, WRAPPED
from tests.support.products import CONTENT_FIELDS, rules
from tests.support.state_header import StateHeader


def test_the_defaults_need_no_header() -> None:
    assert rules_headers(rules()) == []
    assert rules_headers(Rules(codec=codec_for(FLAT))) == []
    assert rules_of_record([], PRODUCT) == rules()
    assert rules_of_record([], FLAT) == Rules(codec=codec_for(FLAT))


@pytest.mark.parametrize(
    ("made_with", "header"),
    [
        (rules(order="arrival"), b'{"order":"arrival"}'),
        (rules(window_us=60_000_000), b'{"refresh_after_us":60000000}'),
        (rules(deleted_marker_us=1), b'{"deleted_marker_us":1}'),
        # A day, as it is read from a topic: an equal number, but another object.
        (rules(order="arrival", deleted_marker_us=int("86400000000")), b'{"order":"arrival"}'),
        (
            rules(strategy="distinct", window_us=1_000, window_kind="sliding", window_entries=8),
            (
                b'{"strategy":"distinct","refresh_after_us":1000,"window_kind":"sliding",'
                b'"window_entries":8}'
            ),
        ),
        (rules(unknown_actions="dead_letter"), b'{"unknown_actions":"dead_letter"}'),
        (rules(("discount", "price")), b'{"fields":["price","discount"]}'),
        (Rules(codec=codec_for(PRODUCT, None, "pass")), b'{"unknown_fields":"pass"}'),
        (
            Rules(codec=codec_for(FLAT, ("status", "colour"), "pass"), order="arrival"),
            b'{"order":"arrival","unknown_fields":"pass","fields":["status","colour"]}',
        ),
    ],
    ids=lambda it: it.decode() if isinstance(it, bytes) else "",
)
def test_rules_that_differ_are_read_back(made_with: Rules, header: bytes) -> None:
    assert rules_headers(made_with) == [(RULES_HEADER, header)]
    assert rules_of_record([(RULES_HEADER, header)], made_with.codec.entity) == made_with


def test_what_a_field_beside_the_model_was_is_known_from_the_header_alone() -> None:
    """Its name is in no model: a worker that drops such fields reads the record all the same."""
    header = [(RULES_HEADER, b'{"unknown_fields":"pass","fields":["status","colour"]}')]
    made = rules_of_record(header, FLAT)
    assert made.codec.content == ("status", "colour")
    assert made.codec.unknown_fields == "pass"


@pytest.mark.parametrize(
    "header",
    [
        *(b"", b"x", b"[]", b'{"order":"backwards"}', b'{"unknown_fields":1}', b"\xff", None),
        b"[" * 100_000,
    ],
    ids=lambda header: repr(header)[:30],
)
def test_another_program_s_header_means_the_defaults(header: Any) -> None:
    assert rules_of_record([(RULES_HEADER, header)], PRODUCT) == rules()


@pytest.mark.parametrize("fields", [["colour"], [], ["product_id"], ["last_action"]])
def test_fields_that_are_no_content_of_the_entity_mean_all(fields: list[str]) -> None:
    text = ",".join(f'"{name}"' for name in fields)
    header = [(RULES_HEADER, f'{{"order":"arrival","fields":[{text}]}}'.encode())]
    assert rules_of_record(header, PRODUCT) == rules(order="arrival")


def test_a_record_of_an_older_version_tells_its_fields_by_its_fingerprint() -> None:
    for size in range(1, len(CONTENT_FIELDS) + 1):
        for fields in combinations(CONTENT_FIELDS, size):
            made_with = rules(fields)
            fingerprint = made_with.codec.fingerprint(b"[]")
            text = ("dedup.fingerprint", fingerprint.hex().encode())
            packed = ("dedup.state", StateHeader(1, fingerprint, 0, 0, 0, 0).packed)
            assert rules_of_record([text], PRODUCT) == made_with
            assert rules_of_record([packed], PRODUCT) == made_with
    other = bytes(SCHEME_BYTES + 16).hex().encode()
    assert rules_of_record([("dedup.fingerprint", other)], PRODUCT) == rules()


def test_an_entity_of_many_fields_has_its_choice_in_the_header() -> None:
    """The choices are too many to be found by a fingerprint."""
    made_with = Rules(codec=codec_for(WRAPPED, ("note", "status")))
    fingerprint = ("dedup.fingerprint", made_with.codec.fingerprint(b"[]").hex().encode())
    everything = Rules(codec=codec_for(WRAPPED))
    assert rules_of_record([*rules_headers(made_with), fingerprint], WRAPPED) == made_with
    assert rules_of_record([fingerprint], WRAPPED) == everything
