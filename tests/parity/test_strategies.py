"""The reference of each strategy, without running Flink. That it is right is `make parity`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from dedup.cli import cli
from dedup.core.entity import Entity
from dedup.core.window import WindowKind
from dedup.parity.decisions import Rule
from dedup.parity.reference import sql_of
from dedup.parity.sql import Endpoints, reference_sql
from dedup.settings import load_settings
from deploy.flink.statements import SQL, split
from tests.parity.changed_rules import STRATEGY_RULES, changed_sql
from tests.parity.customers import CUSTOMER
from tests.parity.orders import ORDER
from tests.parity.seed import EMITS
from tests.parity.strategies import (
    DISTINCT,
    EVENT_ID,
    HISTORIES,
    LATEST,
    STRATEGIES,
    Chosen,
    make_events,
    walk,
)

AT = Endpoints("broker:9092", "in", "out", "group")
DOCUMENT = Path(__file__).parents[2] / "docs" / "flink.md"
SCRIPTS = {
    "flink-deduplication-distinct.sql": "distinct",
    "flink-deduplication-event-id.sql": "event_id",
}


def printed(**environ: str) -> str:
    done = CliRunner(env=environ).invoke(cli, ["flink-sql"])
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_file_of_a_strategy_is_what_the_command_prints(name: str) -> None:
    """If not: `DEDUP_STRATEGY=... DEDUP_WINDOW=10m dedup flink-sql > deploy/flink/...`."""
    file = SQL.with_name(name).read_text("utf-8")
    assert printed(DEDUP_STRATEGY=SCRIPTS[name], DEDUP_WINDOW="10m") == file


@pytest.mark.parametrize("chosen", STRATEGIES, ids=lambda each: each.name)
def test_every_strategy_has_the_tables_views_and_insert_of_the_default(chosen: Chosen) -> None:
    names = {s.split()[2] for s in split(printed(**chosen.settings)) if s.startswith("CREATE")}
    assert names >= {s.split()[2] for s in split(SQL.read_text("utf-8")) if s.startswith("CREATE")}


@pytest.mark.parametrize("entity", [ORDER, CUSTOMER], ids=lambda each: each.name)
@pytest.mark.parametrize("kind", ["fixed", "sliding"])
def test_any_entity_has_its_names_and_no_gap_is_left(entity: Entity, kind: WindowKind) -> None:
    sql = reference_sql(entity, entity.content, AT, Rule("distinct", 600, kind))
    assert "${" not in sql
    assert "product" not in sql
    own = "`content_`" if entity is ORDER else "content"
    assert f"PARTITION BY `{entity.id}`, {own}, deletes" in sql


def test_a_row_of_the_pattern_has_every_column_that_the_output_has() -> None:
    pattern = next(s for s in split(printed(**DISTINCT.settings)) if "MATCH_RECOGNIZE" in s)
    for column in ("event_id", "old_price", "event_timestamp", "description", "updated_at"):
        assert f"C.`{column}` AS `{column}`" in pattern
    assert "C.source_offset AS source_offset" in pattern
    assert "C.content" not in pattern  # part of the group, which Flink returns itself
    assert "C.content AS content" in printed(**EVENT_ID.settings)


@pytest.mark.parametrize(
    ("window", "interval"),
    [
        ("10m", "INTERVAL '0 00:10:00.000' DAY(1) TO SECOND(3)"),
        ("1.5d", "INTERVAL '1 12:00:00.000' DAY(1) TO SECOND(3)"),
        ("90061.007", "INTERVAL '1 01:01:01.007' DAY(1) TO SECOND(3)"),
        ("400d", "INTERVAL '400 00:00:00.000' DAY(3) TO SECOND(3)"),
    ],
)
def test_the_window_is_an_interval(window: str, interval: str) -> None:
    assert interval in printed(DEDUP_STRATEGY="distinct", DEDUP_WINDOW=window)


def test_contents_of_one_id_stay_in_one_subtask() -> None:
    for chosen in STRATEGIES:
        alone = "SET 'parallelism.default' = '1';" in printed(**chosen.settings)
        assert alone == (chosen.strategy != "latest")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"DEDUP_WINDOW": "1h"}, "DEDUP_WINDOW: the Flink SQL has no such rule for DEDUP_STRATEGY"),
        ({"DEDUP_WINDOW": "0.0005", "DEDUP_STRATEGY": "distinct"}, "no interval of 0.0005 s"),
        ({"DEDUP_WINDOW": "1000000d", "DEDUP_STRATEGY": "event_id"}, "at most 999999 days"),
        ({"DEDUP_ORDER": "arrival", **EVENT_ID.settings}, "DEDUP_ORDER: the Flink SQL has no such"),
    ],
)
def test_a_window_that_the_sql_does_not_have_is_refused(
    environ: Mapping[str, str], said: str
) -> None:
    done = CliRunner(env=environ).invoke(cli, ["flink-sql"])
    assert done.exit_code == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("chosen", "name"), [(each, name) for each, rules in STRATEGY_RULES.items() for name in rules]
)
def test_every_changed_rule_of_a_strategy_is_in_the_sql(chosen: Chosen, name: str) -> None:
    sql = sql_of(load_settings(dict(chosen.settings)))
    assert changed_sql(sql, STRATEGY_RULES[chosen], name) != sql


def test_random_histories_tell_the_strategies_apart() -> None:
    """No two of them emit the same of all walks, so none can pass for another."""
    random = Random(1)
    histories = [walk(random) for _ in range(100)]
    emitted = Counter(str([chosen.emits(h) for h in histories]) for chosen in STRATEGIES)
    assert len(emitted) == len(STRATEGIES)


def test_random_histories_are_the_same_for_the_same_seed() -> None:
    assert make_events(3, 5)[0].events == make_events(3, 5)[0].events
    assert make_events(3, 5)[0].events != make_events(4, 5)[0].events


def _cell(emitted: Sequence[str | None]) -> str:
    return ", ".join("tombstone" if each is None else each for each in emitted)


@pytest.mark.parametrize("name", HISTORIES)
def test_the_table_of_the_page_has_what_each_emits(name: str) -> None:
    """What the worker and Flink emit is held against the same by `make parity`."""
    ours = (_cell(each.emits(HISTORIES[name])) for each in (LATEST, DISTINCT, EVENT_ID))
    row = f"| {' | '.join([name, *ours, _cell(EMITS[name])])} |"
    assert row in DOCUMENT.read_text("utf-8").splitlines()
