"""The result of the demo: whatever the worker does wrong, the oracle disagrees."""

import dataclasses
import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from rich.console import Console

from dedup.cli import cli
from dedup.demo.compare import (
    COMPARED_OUTCOMES,
    Expectation,
    WorkerOutput,
    disagreements,
    read_output,
)
from dedup.demo.example import Choice, Example, resolve_example
from dedup.demo.report import Findings, report
from dedup.demo.run import Demo
from dedup.demo.worker import Counts
from producer.events import EventGenerator, Mix
from producer.example import PRODUCTS, products_with

MIX = Mix(products=20, late=0.05, deletes=0.05, partial=0.05, invalid=0.05)


def findings(example: Example = PRODUCTS) -> Findings:
    """What a faultless worker would have left of 500 events."""
    expected = Expectation(example)
    for event in islice(EventGenerator(1, lambda: datetime(2026, 1, 1, tzinfo=UTC), MIX), 500):
        expected.add((event.key, event.value))
    emitted = {product_id: list(ids) for product_id, ids in expected.oracle.emitted.items()}
    row = {
        "product_id": 1,
        "product_name": "Laptop Pro [new]",  # what looks like markup is text
        "price": "1299.99",
        "stock_quantity": 25,
        "discount": "0.00",
        "last_action": "updated",
        "last_event_timestamp": "2026-01-01T10:30:00.123456Z",
    }
    output = WorkerOutput(emitted, {1: row}, Counter(expected.dead_letters))
    counts = Counts(dict(expected.oracle.outcomes) | {"replayed": 0}, {"key_missing": 3})
    return Findings(500, expected, output, counts, 1234.5, "src_products", {"Producing": 0.5})


def shown(found: Findings) -> tuple[bool, str]:
    text = io.StringIO()
    agreed = report(Console(file=text, width=80), found)
    return agreed, text.getvalue()


def test_a_faultless_run_is_agreed_with() -> None:
    found = findings()
    without_refreshes = [name for name in COMPARED_OUTCOMES if name != "refresh"]
    assert all(found.expected.oracle.outcomes[name] for name in without_refreshes)
    agreed, text = shown(found)
    assert agreed
    assert "✔ The oracle agrees: " in text
    for word in ("1,234", "key_missing", "producing 0.5 s", "Laptop Pro [new]", "10:30:00.123"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


def test_with_a_strategy_it_is_said_what_others_emit_of_the_same_events() -> None:
    found = findings(products_with(Choice("event_id", 60)))
    agreed, text = shown(found)
    assert agreed
    oracles = {"event_id": found.expected.oracle, **found.expected.others}
    said = {name: sum(map(len, oracle.emitted.values())) for name, oracle in oracles.items()}
    assert said["event_id"] > said["latest"] > said["distinct"]
    for name, number in said.items():
        assert f"{name} {number}" in text or f"window of 60 s: {number} emissions." in text
    assert "refreshes" in text
    assert "refreshes" not in shown(findings())[1]


def test_every_oracle_of_a_demo_has_the_window_that_was_asked_for() -> None:
    """The others of the comparison too; that of `latest` has none."""
    asked = products_with(Choice("distinct", 1))
    expected = Expectation(asked)
    endless = Expectation(products_with(Choice("distinct", 3_600)))
    times = (
        datetime(2026, 1, 1, tzinfo=UTC) + n * timedelta(milliseconds=10) for n in range(4_000)
    )
    for event in islice(asked.generate(1, 20, times.__next__), 2_000):
        for each in (expected, endless):
            each.add((event.key, event.value))
    assert expected.oracle.emitted != endless.oracle.emitted
    assert expected.others["event_id"].emitted != endless.others["event_id"].emitted
    assert expected.others["latest"].emitted == endless.others["latest"].emitted


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--window", "3s"], "--window and --window-kind need --strategy"),
        (["--strategy", "distinct", "--window", "0"], "expected a duration above 0"),
        (["--strategy", "latest", "--window", "3s", "--window-kind", "fixed"], "by the clock"),
        (["--strategy", "event_id", "--example", "examples.orders.demo"], "knows only latest"),
    ],
)
def test_a_strategy_that_no_oracle_can_follow_is_refused(
    arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(cli, ["demo", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("fault", ["missing", "twice", "swapped", "no tombstone"])
def test_a_wrong_sequence_is_named_by_product(fault: str) -> None:
    found = findings()
    histories = found.output.emitted
    product_id = next(p for p, ids in histories.items() if len(ids) > 3 and None in ids[:-1])
    ids = histories[product_id]
    match fault:
        case "missing":
            del ids[0]
        case "twice":
            ids.append(ids[-1])
        case "swapped":
            ids[:2] = reversed(ids[:2])
        case _:
            ids.remove(None)
    agreed, text = shown(found)
    assert not agreed
    assert "✘ The oracle disagrees in 1 place:" in text
    assert f"product {product_id}, emission " in text


def test_a_wrong_count_is_named() -> None:
    found = findings()
    right = found.counts.outcomes["stale"]
    outcomes = {**found.counts.outcomes, "stale": right + 1}
    assert disagreements(found.expected, found.output, outcomes) == [
        f"outcome stale: expected {right} events, the worker counted {right + 1}"
    ]


def test_dead_letters_must_be_the_same_bytes() -> None:
    found = findings()
    letters = found.output.dead_letters
    key, value = next(iter(letters))
    letters[(key, value)] -= 1
    letters[(key, (value or b"") + b" ")] += 1
    assert disagreements(found.expected, found.output, found.counts.outcomes) == [
        "dead letters: 1 missing, 1 unexpected"
    ]


def test_many_disagreements_are_cut_short() -> None:
    found = findings()
    output = dataclasses.replace(found.output, emitted={})
    _, text = shown(dataclasses.replace(found, output=output))
    assert "and 15 more" in text
    assert len(text.splitlines()) < 40


def test_rows_are_those_after_the_last_record() -> None:
    def record(product_id: int, event_id: str | None) -> SimpleNamespace:
        value = None if event_id is None else f'{{"last_event_id":"{event_id}"}}'.encode()
        return SimpleNamespace(key=b'{"product_id":%d}' % product_id, value=value)

    letters = [SimpleNamespace(key=None, value=b"x")] * 2
    output = read_output(PRODUCTS, [record(1, "a"), record(2, "b"), record(1, None)], letters)
    assert output.emitted == {1: ["a", None], 2: ["b"]}
    assert output.rows == {2: {"last_event_id": "b"}}
    assert output.dead_letters == {(None, b"x"): 2}


def test_a_demo_whose_oracle_disagrees_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Demo, "run", lambda _: False)
    assert CliRunner().invoke(cli, ["demo"]).exit_code == 1


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ("examples.nothing", "there is no module examples.nothing"),
        (
            "examples.orders.demo:ORDERS",
            "examples.orders.demo has no ORDERS; an Example is expected",
        ),
        ("examples.orders.orders", "examples.orders.orders has 0 of Example"),
    ],
)
def test_an_example_that_is_none_is_refused(example: str, message: str) -> None:
    result = CliRunner().invoke(cli, ["demo", "--example", example])
    assert result.exit_code == 2
    assert f"--example={example} is not accepted: {message}" in result.stderr


@pytest.mark.parametrize("name", ["orders", "debezium"])
def test_an_example_is_found_by_its_module(name: str) -> None:
    example = resolve_example(f"examples.{name}.demo")
    assert example.entity.id in {"order_id", "product_id"}
    assert {column.heading for column in example.columns} > {"id", "at (UTC)"}
