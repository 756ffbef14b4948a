"""The worker's step on an entity with text ids and keys in JSON: states, log and metrics."""

import json
from collections import Counter
from typing import Any, Final

import pytest

from dedup.core.codecs import codec_for
from dedup.core.decide import Rules
from dedup.core.entity import Entity, Wrapped
from dedup.entities.product import PRODUCT, Product
from dedup.observability.metrics import Metrics
from tests.agent.conftest import Bench
from tests.core.orders import EPOCH_ORDER, FLAT, document_of
from tests.support.records import batch, record

ORDERS: Final = pytest.mark.parametrize(
    "bench", [{"DEDUP_ENTITY": "tests.core.orders:FLAT"}], indirect=True
)
CODEC: Final = codec_for(FLAT)
FORMS: Final = (
    b'"AB-1"',
    b'{"order_id":"AB-1"}',
    b'{"schema":{"type":"string"},"payload":"AB-1"}',
    b'{"schema":null,"payload":{"order_id":"AB-1"}}',
)
"""Keys that name one order."""


def order(at: int, order_id: str = "AB-1", **changes: str | None) -> bytes:
    """An order whose event time is `at` milliseconds; tokens of other fields."""
    tokens = {"order_id": json.dumps(order_id), "updated_at": str(at), **changes}
    return document_of(EPOCH_ORDER, tokens).encode()


def metric(bench: Bench, name: str, **labels: str) -> float | None:
    return bench.app.metrics.registry.get_sample_value(name, labels)


async def apply(bench: Bench, *records: tuple[bytes | None, bytes | None], offset: int = 0) -> Any:
    work = batch(*(record(offset + n, value, key) for n, (key, value) in enumerate(records)))
    await bench.app.deduplicator.apply(work)
    return bench.publisher.outputs[-1]


@ORDERS
async def test_keys_of_several_forms_lead_to_one_row(bench: Bench) -> None:
    output = await apply(
        bench,
        (FORMS[0], order(1)),
        (FORMS[1], order(2)),
        (FORMS[2], order(3, status='"paid"')),
        (FORMS[3], order(4, status='"paid"')),
    )
    assert bench.outcomes() == {"change": 2, "duplicate": 2}
    assert {each.key for each in output.states} == {b'{"order_id":"AB-1"}'}
    (state,) = bench.table.read(0, ["AB-1"]).values()
    assert (state.offset, state.duplicates) == (3, 2)
    assert json.loads(state.row or b"")["status"] == "paid"


@ORDERS
async def test_a_batch_after_a_restart_finds_the_row_by_another_form_of_the_key(
    bench: Bench,
) -> None:
    await apply(bench, (FORMS[0], order(1)))
    await bench.table.data.on_stop()
    output = await apply(bench, (FORMS[3], order(2)), (FORMS[1], None), offset=1)
    assert bench.outcomes() == {"change": 1, "duplicate": 1, "tombstone": 1}
    assert [(each.key, each.value) for each in output.states] == [(b'{"order_id":"AB-1"}', None)]


@ORDERS
async def test_the_log_has_the_decisions_on_an_id_whatever_the_form_of_its_keys(
    bench: Bench,
) -> None:
    log, decide = bench.app.observers.decision_log, bench.app.deduplicator.decide
    await apply(bench, (FORMS[0], order(5)), (b'"CD-2"', order(1, "CD-2")), (FORMS[1], order(4)))
    log.follow("AB-1")
    await apply(bench, (FORMS[2], order(6)), (FORMS[3], None), (b"AB-1", order(7)), offset=3)
    past = list(log.decisions(0, "AB-1", CODEC, decide))
    assert [(p.at.offset, p.decision.outcome) for p in past] == [
        (0, "change"),
        (2, "stale"),
        (3, "duplicate"),
        (4, "tombstone"),
    ]
    assert [p.at.offset for p in log.decisions(0, "CD-2", CODEC, decide)] == [1]
    assert list(log.decisions(0, "EF-3", CODEC, decide)) == []


@ORDERS
async def test_a_followed_id_is_kept_under_load_whatever_the_form_of_its_keys(bench: Bench) -> None:
    log, decide = bench.app.observers.decision_log, bench.app.deduplicator.decide
    log.follow("AB-1")
    others = [(b'"CD-2"', order(1, "CD-2", weight=str(n))) for n in range(500)]
    offset = 0
    for number, form in enumerate(FORMS):
        await apply(bench, *others, (form, order(number)), offset=offset)
        offset += len(others) + 1
    for _ in range(21):
        await apply(bench, *others, offset=offset)
        offset += len(others)
    past = list(log.decisions(0, "AB-1", CODEC, decide))
    assert [p.decision.outcome for p in past] == ["change", *["duplicate"] * 3]


@ORDERS
async def test_an_event_whose_key_names_another_order_is_a_dead_letter(bench: Bench) -> None:
    output = await apply(
        bench,
        (b'"CD-2"', order(1)),
        (b"AB-1", order(1)),
        (None, order(1)),
        (b'{"order_id":"AB-1","x":1}', order(1)),
    )
    assert output.states == []
    reasons = [dict(each.headers)["dedup.errors.reason"] for each in output.dead_letters]
    assert reasons == [b"key_mismatch", b"key_mismatch", b"key_missing", b"key_mismatch"]


@ORDERS
async def test_changes_are_counted_by_the_fields_of_the_entity(bench: Bench) -> None:
    await apply(
        bench,
        (FORMS[0], order(1)),
        (FORMS[0], order(2, status='"paid"', total='"1.00"')),
        (FORMS[1], order(3, status='"sent"', total='"1.0"', lines="[]")),
        (FORMS[1], order(4, status='"sent"', total="1", lines="[]", note='"x"')),
    )
    counted = {
        field: metric(bench, "dedup_field_changes_total", field=field) for field in FLAT.content
    }
    expected = Counter(status=2, total=1, lines=1, note=1)
    assert counted == {field: expected[field] for field in FLAT.content}
    assert metric(bench, "dedup_field_changes_total", field="updated_at") is None
    assert metric(bench, "dedup_field_changes_total", field="price") is None


@ORDERS
async def test_rows_are_counted_under_the_name_of_the_entity(bench: Bench) -> None:
    assert metric(bench, "dedup_orders") is not None
    assert metric(bench, "dedup_products") is None


@pytest.mark.parametrize(
    "bench",
    [
        {
            "DEDUP_ENTITY": "tests.core.orders:FLAT",
            "DEDUP_UNKNOWN_FIELDS": "pass",
            "DEDUP_CONTENT_FIELDS": "status,colour",
        }
    ],
    indirect=True,
)
async def test_a_field_beside_the_model_may_be_content(bench: Bench) -> None:
    output = await apply(
        bench,
        (FORMS[0], order(1, colour='"red"')),
        (FORMS[0], order(2, colour='"red"', note='"not content"')),
        (FORMS[0], order(3, colour='{"b":1,"a":[1.0]}')),
        (FORMS[0], order(4, colour='{"a":[1],"b":1}')),
    )
    assert bench.outcomes() == {"change": 2, "duplicate": 2}
    colours = [json.loads(each.value)["colour"] for each in output.states]
    assert colours == ["red", {"a": [1], "b": 1}]
    (header,) = {dict(each.headers)["dedup.rules"] for each in output.states}
    assert json.loads(header) == {"unknown_fields": "pass", "fields": ["status", "colour"]}


def named(name: str) -> Entity:
    envelope = Wrapped(payload="product", time="timestamp")
    return Entity(name=name, model=Product, id="product_id", envelope=envelope)


@pytest.mark.parametrize("name", ["event", "dead_letter", "rebalance", "foreign_record", "dry_run"])
def test_no_name_of_an_entity_is_in_the_way_of_another_metric(name: str) -> None:
    """Rows of `event` can't be counted as `dedup_events`, which counts what was read."""
    registry = Metrics(Rules(codec=codec_for(named(name)))).registry
    own = {family.name for family in registry.collect()}
    of_products = {
        family.name for family in Metrics(Rules(codec=codec_for(PRODUCT))).registry.collect()
    }
    assert len(own) == len(of_products)
    assert of_products - own == {"dedup_products"}
