"""What `dedup compare` counts, held against the models of the strategies; no broker is needed."""

import json
import random
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from dedup.core.decide import Outcome
from dedup.inspection.comparison import Comparison, VariantResult, compared, new_comparison
from dedup.inspection.variants import read_variants
from dedup.settings import load_settings
from dedup.terminal.comparison import comparison_json, show_comparison
from dedup.terminal.comparison_plot import comparison_svg
from tests.core.orders import EPOCH_ORDER
from tests.support.records import event, record
from tests.support.strategies import Event, Model

EPOCH_S = 1_767_225_600
"""Second 0 of the events of `tests.support.records`."""

VARIANTS = (
    *("latest", "latest:10s", "latest:10s:sliding", "latest:arrival"),
    *("distinct:10s", "distinct:10s:sliding", "distinct:arrival:10s", "distinct:1h"),
    *("event_id:10s", "event_id:10s:sliding", "event_id:sliding:arrival:10s"),
    *("latest:fields=product_name", "distinct:10s:fields=stock_quantity"),
)
PARTITIONS, PRODUCTS, EVENTS = 2, 12, 500

Topic = list[tuple[int, int, Event]]
"""Partition, product and event. Its content is a name and a stock: `A1`."""


def random_topic(seed: int) -> Topic:
    chance = random.Random(seed)
    topic = []
    for number in range(EVENTS):
        product = chance.randrange(1, PRODUCTS + 1)
        happened = Event(
            content=chance.choice("AB") + chance.choice("01"),
            time_s=min(max(0, number * 60 // EVENTS + chance.randrange(-3, 4)), 59),
            event_id=f"e{chance.randrange(40)}",
            deletes=chance.random() < 0.1,
        )
        topic.append((product % PARTITIONS, product, happened))
    return topic


def records_of(topic: Topic, partition: int) -> list[Any]:
    """The records of a partition, each written at the newest event time of its product."""
    newest: dict[int, int] = {}
    offsets, found = count(), []
    for where, product, each in topic:
        if where != partition:
            continue
        newest[product] = max(newest.get(product, 0), each.time_s)
        value = event(
            product,
            number=each.time_s,
            action="deleted" if each.deletes else "created",
            product_name=each.content[0],
            stock_quantity=int(each.content[1]),
        ).replace(b"evt_%d" % each.time_s, each.event_id.encode())
        made = record(next(offsets), value, b"%d" % product, partition)
        made.timestamp = (EPOCH_S + newest[product]) * 1000
        found.append(made)
    return found


def compare(
    names: Sequence[str], *partitions: Sequence[Any], at_once: int = 7, **environ: str
) -> Comparison:
    settings = load_settings(environ)
    comparison = new_comparison(settings, "products", read_variants(names, settings))
    for partition, records in enumerate(partitions):
        with compared(comparison, partition) as add:
            for start in range(0, len(records), at_once):
                add(records[start : start + at_once])
    return comparison


def modelled(name: str, topic: Topic) -> tuple[int, dict[int, str]]:
    """How many records a variant emits by its model, and the content at the end by product."""
    strategy, *words = name.split(":")
    (window_s,) = [float(w[:-1]) * {"s": 1, "h": 3600}[w[-1]] for w in words if w[0].isdigit()] or [
        float("inf")
    ]
    kind = "sliding" if "sliding" in words else "fixed"
    part = {"fields=product_name": slice(1), "fields=stock_quantity": slice(1, 2)}
    (compared_part,) = [part[word] for word in words if word in part] or [slice(None)]
    models: dict[int, Model] = {}
    states: dict[int, str] = {}
    for _, product, each in topic:
        model = models.setdefault(
            product,
            Model(strategy, window_s, kind, in_order="arrival" not in words),
        )
        emitted = len(model.emitted)
        model.take(replace(each, content=each.content[compared_part]))
        if len(model.emitted) > emitted:
            states[product] = "" if each.deletes else each.content
    return sum(len(model.emitted) for model in models.values()), states


@pytest.mark.parametrize("seed", range(4))
def test_each_variant_emits_what_its_model_emits_and_ends_in_its_state(seed: int) -> None:
    topic = random_topic(seed)
    found = compare(VARIANTS, *(records_of(topic, p) for p in range(PARTITIONS)))
    assert found.events == EVENTS
    _, first = modelled(VARIANTS[0], topic)
    others = set()
    for name, result in zip(VARIANTS, found.results, strict=True):
        emitted, states = modelled(name, topic)
        other = sum(states.get(p, "") != first.get(p, "") for p in range(1, PRODUCTS + 1))
        others.add(other)
        assert (name, result.emitted) == (name, emitted)
        assert (name, result.other_state) == (name, other)
        assert result.rows == sum(state != "" for state in states.values())
        assert result.outcomes.total() == EVENTS
    assert len(others) > 3, "the models end in too few different ways to show anything"


def repeats(*seconds: float) -> list[Any]:
    """The records of one content, written at these seconds; the event times are those of others."""
    found = []
    for offset, second in enumerate(seconds):
        made = record(offset, event(number=offset))
        made.timestamp = int((EPOCH_S + second) * 1000)
        found.append(made)
    return found


def outcomes(result: VariantResult) -> dict[str, int]:
    return {outcome.value: number for outcome, number in result.outcomes.items()}


def test_a_fixed_window_of_latest_is_by_the_timestamp_of_each_record_to_the_millisecond() -> None:
    found = compare(["latest:10s", "latest"], repeats(0, 9.999, 10, 15), at_once=4)
    assert outcomes(found.results[0]) == {"change": 1, "duplicate": 2, "refresh": 1}
    assert outcomes(found.results[1]) == {"change": 1, "duplicate": 3}


def test_a_deletion_is_forgotten_a_day_after_its_record_was_written() -> None:
    history = [event(number=5), event(number=6, action="deleted"), event(number=1)]
    for late_s, outcome in ((86_400, Outcome.STALE), (86_401, Outcome.CHANGE)):
        records = [record(offset, value) for offset, value in enumerate(history)]
        records[2].timestamp += late_s * 1000
        assert compare(["latest"], records).results[0].outcomes[outcome] == (
            2 if outcome is Outcome.CHANGE else 1
        )


@pytest.mark.parametrize("timestamp_ms", [-1, 2**63 - 1, -(2**63)])
def test_a_record_with_any_timestamp_is_decided_on(timestamp_ms: int) -> None:
    records = repeats(0, 1)
    records[1].timestamp = timestamp_ms
    assert outcomes(compare(["latest"], records).results[0]) == {"change": 1, "duplicate": 1}


def test_bytes_are_those_of_keys_values_and_headers() -> None:
    """One row in two variants: that with other rules than the default says so in a header."""
    source = record(0, event())
    found = compare(["latest", "latest:1h"], [source])
    assert found.bytes_in == len(b"1" + event() + b"traceabc")
    plain, ruled = (result.bytes_written for result in found.results)
    header = b'dedup.rules{"refresh_after_us":3600000000}'
    assert ruled - plain == len(header)
    assert found.bytes_saved(found.results[0]) == found.bytes_in - plain
    (again,) = compare(["latest"], [source, record(1, event(number=2))]).results
    assert again.bytes_written == plain, "a duplicate writes nothing"


def test_dead_letters_are_counted_and_are_not_a_part_of_what_is_suppressed() -> None:
    records = [*repeats(0, 1), record(2, b"{"), record(3, None, None)]
    (result,) = compare(["latest"], records).results
    assert outcomes(result) == {"change": 1, "duplicate": 1, "dead_letter": 2}
    assert result.suppressed_share == 0.5


def test_forgotten_entries_are_counted() -> None:
    records = [record(n, event(number=n, product_name=name)) for n, name in enumerate("ABCA")]
    few, enough = compare(["distinct:1h:entries=2", "distinct:1h:entries=3"], records).results
    assert (few.emitted, few.forgotten) == (4, 2)
    assert (enough.emitted, enough.forgotten) == (3, 0)


def test_a_product_that_only_one_variant_deletes_ends_in_another_state() -> None:
    """The id of the delete was emitted before, so `event_id` drops it."""
    same_id = event(number=2, action="deleted").replace(b"evt_2", b"evt_1")
    first, second = compare(
        ["latest", "event_id:1h"], [record(0, event()), record(1, same_id)]
    ).results
    assert (first.rows, first.other_state) == (0, 0)
    assert (second.rows, second.other_state) == (1, 1)


def test_the_last_rows_are_compared_by_all_content_whatever_a_variant_compares() -> None:
    records = [record(n, event(number=n, stock_quantity=n)) for n in range(2)]
    found = compare(["latest:fields=price", "latest"], records)
    assert [result.other_state for result in found.results] == [0, 1]


def test_fields_that_the_model_does_not_name_are_compared_too_if_a_variant_names_them() -> None:
    records = [record(n, event(number=n, colour=n)) for n in range(2)]
    names = ["latest:fields=price", "latest:fields=price,colour"]
    found = compare(names, records, DEDUP_UNKNOWN_FIELDS="pass")
    assert [result.other_state for result in found.results] == [0, 1]


def test_ids_of_text_are_compared_each_with_itself() -> None:
    ids = ["z", "Z", "\U0001d11e", "\uffff", "é", "AB-1", "AB"]
    records = []
    for number, row_id in enumerate(ids):
        value = json.dumps(EPOCH_ORDER | {"order_id": row_id, "weight": number}).encode()
        records.append(record(number, value, json.dumps(row_id).encode()))
    entity = "tests.core.orders:FLAT"
    found = compare(["latest", "latest:fields=status", "distinct:1h"], records, DEDUP_ENTITY=entity)
    assert [(result.rows, result.other_state) for result in found.results] == [(len(ids), 0)] * 3


def test_nothing_is_emitted_of_an_empty_topic() -> None:
    found = compare(VARIANTS[:2], [])
    assert found.events == found.bytes_in == found.results[0].emitted == 0
    assert found.results[0].suppressed_share == 0


def test_the_json_names_what_each_variant_is() -> None:
    shown = json.loads(
        comparison_json(
            compare(
                ["latest", "distinct:10m:sliding:arrival:fields=price,description:entries=8"],
                repeats(0, 1),
            )
        )
    )
    assert {name: shown[name] for name in ("topic", "events", "complete")} == {
        "topic": "products",
        "events": 2,
        "complete": True,
    }
    first, second = shown["variants"]
    assert first["window_seconds"] is None
    expected = {
        "strategy": "distinct",
        "window_seconds": 600.0,
        "window_kind": "sliding",
        "window_entries": 8,
        "order": "arrival",
        "content_fields": ["description", "price"],
        "emitted": 1,
        "suppressed_share": 0.5,
        "rows": 1,
        "other_state": 0,
        "entries_forgotten": 0,
    }
    assert {name: second[name] for name in expected} == expected
    assert second["outcomes"]["duplicate"] == 1
    assert second["bytes_saved"] == shown["bytes_in"] - second["bytes_written"]


def test_the_table_has_a_column_for_each_variant(capsys: pytest.CaptureFixture[str]) -> None:
    show_comparison(compare(["latest", "event_id:1h"], repeats(0, 1, 2)))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["latest", "event_id:1h"] in lines
    assert ["emitted", "1", "3"] in lines
    assert ["duplicates", "2", "0"] in lines
    assert ["suppressed", "66.7%", "0.0%"] in lines
    assert ["products", "in", "another", "state", "-", "0"] in lines


def test_the_plot_is_xml_with_the_name_and_the_figures_of_each_variant() -> None:
    found = compare(["latest", "event_id:1h"], repeats(0, 1, 2))
    found.topic = "a<b>&\x1b"
    root = ET.fromstring(comparison_svg(found))  # noqa: S314 - our own
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == r"3 events on a<b>&\x1b: what would be emitted"
    assert texts[1:] == [
        *("latest", "1 emitted, 66.7% suppressed"),
        *("event_id:1h", "3 emitted, 0.0% suppressed"),
    ]
    widths = [
        float(each.get("width", ""))
        for each in root.iter("{http://www.w3.org/2000/svg}rect")
        if each.get("class") in ("emitted", "rest")
    ]
    assert widths == [660, 220, 660, 660]
