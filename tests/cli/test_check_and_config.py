"""`dedup check` and `dedup config`: what needs no broker."""

import json
import os
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dedup.cli import cli
from dedup.settings import Settings
from producer.events import EventGenerator, Mix
from producer.oracle import Oracle
from tests.support.records import event


@pytest.fixture(autouse=True)
def _settings_of_the_test_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("KAFKA_", "DEDUP_")):
            monkeypatch.delenv(name)


def check(lines: list[bytes], *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check", "-", *arguments], input=b"\n".join(lines))


@pytest.mark.parametrize("seed", range(5))
def test_each_decision_on_a_file_is_that_of_the_oracle(seed: int) -> None:
    mix = Mix(products=30, late=0.1, deletes=0.05, partial=0.2)
    generator = EventGenerator(seed, lambda: datetime(2026, 1, 1, tzinfo=UTC), mix)
    records = [(e.key, e.value) for e in islice(generator, 400) if e.value is not None]
    oracle = Oracle()
    expected: list[str] = []
    for record in records:
        before = oracle.outcomes.copy()
        oracle.feed([record])
        expected += (oracle.outcomes - before).keys()
    result = check([value for _, value in records], "--json")
    verdicts = [json.loads(line) for line in result.stdout.splitlines()]
    assert [verdict["outcome"] for verdict in verdicts] == expected
    assert {"change", "duplicate", "stale", "tombstone"} <= set(expected)
    assert result.exit_code == (3 if "dead_letter" in expected else 0)
    for verdict in verdicts:
        counting = [c["field"] for c in verdict["comparisons"] if c["differs"] and c["counts"]]
        if verdict["outcome"] == "change":
            assert counting, verdict
        if verdict["outcome"] == "duplicate":
            assert not counting, verdict


def test_a_duplicate_says_which_fields_are_equal_and_a_change_what_differs() -> None:
    lines = [event(number=1), event(number=2), event(number=3, price="11.00")]
    said = check(lines).stdout.splitlines()
    assert "duplicate" in said[1]
    assert "No content field differs" in said[1]
    assert "price 10.00 → 11.00" in said[2]
    assert said[3] == "3 events: 2 change, 1 duplicate"


def test_what_cant_be_applied_is_printed_with_its_reason_and_exit_3() -> None:
    result = check([b"{", event(price="-1")], "--json")
    assert result.exit_code == 3
    reasons = [json.loads(line)["reason"] for line in result.stdout.splitlines()]
    assert reasons == ["invalid_json", "invalid_event"]


def test_lines_are_numbered_as_in_the_file_and_empty_ones_are_no_events() -> None:
    result = check([b"", event(), b"  "], "--json")
    assert [json.loads(line)["line"] for line in result.stdout.splitlines()] == [2]
    assert json.loads(check([b""], "--json", "--summary").stdout) == {"events": 0, "outcomes": {}}


def test_a_name_that_would_steer_the_terminal_is_printed_as_an_escape() -> None:
    result = check([event(), event(number=2, product_name="\x1b[31mred")])
    assert "\x1b" not in result.stdout
    assert r"\x1b[31mred" in result.stdout


def test_check_follows_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [event(number=5), event(number=1, price="11.00")]
    assert "stale" in check(lines).stdout
    monkeypatch.setenv("DEDUP_ORDER", "arrival")
    assert "stale" not in check(lines).stdout


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["check", str(tmp_path / "none.jsonl")]).exit_code == 2


def test_the_settings_are_shown_with_their_source_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "correct horse")
    monkeypatch.setenv("DEDUP_ORDER", "arrival")
    result = CliRunner().invoke(cli, ["config", "show", "--json"])
    shown = {each["name"]: each for each in json.loads(result.stdout)}
    assert set(shown) == set(Settings.model_fields)
    assert shown["DEDUP_ORDER"] == {
        "name": "DEDUP_ORDER",
        "value": "arrival",
        "source": "environment",
    }
    assert shown["DEDUP_PARTITIONS"]["source"] == "default"
    assert shown["KAFKA_PASSWORD"]["value"] == "***"
    text = CliRunner().invoke(cli, ["config", "show"]).output
    assert "correct horse" not in result.output + text
    assert "KAFKA_PASSWORD" in text


def test_wrong_settings_are_an_error_line_each_and_exit_1(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(cli, ["config", "check"]).exit_code == 0
    monkeypatch.setenv("DEDUP_ORDR", "arrival")
    monkeypatch.setenv("DEDUP_DRY_RUN", "perhaps")
    result = CliRunner().invoke(cli, ["config", "check"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "DEDUP_ORDR is not a setting; did you mean DEDUP_ORDER?" in result.stderr
    assert "DEDUP_DRY_RUN=perhaps is not accepted" in result.stderr


def test_a_certificate_that_is_none_is_found_by_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("KAFKA_CERT", str(tmp_path / "ca.pem"))
    result = CliRunner().invoke(cli, ["config", "check"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: KAFKA_CERT=")
