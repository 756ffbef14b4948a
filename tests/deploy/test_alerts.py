"""Alerts, runbook and cases belong together; promtool itself runs in `make test-deploy`."""

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOK = (ROOT / "docs" / "operations.md").read_text("utf-8")


def load(name: str) -> Any:
    return yaml.safe_load((PROMETHEUS / name).read_text("utf-8"))


RULES = [rule for group in load("alerts.yml")["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
CASES = [case for test in load("alerts_test.yml")["tests"] for case in test["alert_rule_test"]]
each_alert = pytest.mark.parametrize("name", ALERTS)


@each_alert
def test_an_alert_has_a_section_in_the_runbook_that_it_names(name: str) -> None:
    assert ALERTS[name]["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
    assert f"\n### {name}\n" in RUNBOOK


@each_alert
def test_an_alert_is_tested_when_it_fires_and_when_it_does_not(name: str) -> None:
    fired = [bool(case["exp_alerts"]) for case in CASES if case["alertname"] == name]
    assert set(fired) == {True, False}


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    sections = {line[4:] for line in RUNBOOK.splitlines() if line.startswith("### Dedup")}
    assert sections == set(ALERTS)
