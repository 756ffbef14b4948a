"""Dashboard and alerts use only what a running worker exports: names, and labels with values."""

import asyncio
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.records import event
from tests.support.topics import produce
from tests.support.workers import Names, WorkerProcess, wait_until_counted

DEPLOY = Path(__file__).parents[2] / "deploy"
OF_PROMETHEUS = {"up", "ALERTS"}
ADDED_BY_PROMETHEUS = {"job", "instance"}

SELECTOR = re.compile(r"(?<![\w:])(dedup_\w+|up|ALERTS)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)(=~|=)\"([^\"]*)\"")
GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")


def expressions() -> Iterator[str]:
    for rule_file in (DEPLOY / "prometheus").glob("alerts.yml"):
        for group in yaml.safe_load(rule_file.read_text("utf-8"))["groups"]:
            if group["name"] != "dedup-sink":  # tests/sink has a running sink
                yield from (rule["expr"] for rule in group["rules"])
    for dashboard in (DEPLOY / "grafana" / "dashboards").glob("*.json"):
        found = json.loads(dashboard.read_text("utf-8"))
        yield from (a["expr"] for a in found["annotations"]["list"])
        yield from (target["expr"] for panel in found["panels"] for target in panel["targets"])


def exported(worker: WorkerProcess) -> dict[str, dict[str, set[str]]]:
    """The samples of a running worker: name, its labels, their values."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=30) as page:
        families = text_string_to_metric_families(page.read().decode())
    samples: dict[str, dict[str, set[str]]] = {}
    for family in families:
        for sample in family.samples:
            labels = samples.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return samples


async def test_every_metric_and_label_that_is_used_is_exported(kafka: str, tmp_path: Path) -> None:
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        await produce(kafka, [(b"1", event()), (b"1", b"{")], names.source)
        wait_until_counted(2, worker)
        samples = await until_measured(worker)
    used: set[str] = set()
    for expression in expressions():
        here = SELECTOR.findall(expression)
        labels = set(ADDED_BY_PROMETHEUS)
        for name, matchers in here:
            if name in OF_PROMETHEUS:
                continue
            assert name in samples, f"{name} in {expression}"
            used.add(name)
            labels |= samples[name].keys()
            for label, operator, value in MATCHER.findall(matchers):
                if label in ADDED_BY_PROMETHEUS:
                    continue
                wanted = set(value.split("|")) if operator == "=~" else {value}
                assert wanted <= samples[name][label], expression
        for group in GROUPING.findall(expression):
            assert set(re.split(r",\s*", group)) <= labels or not here, expression
    assert len(used) > 10


async def until_measured(worker: WorkerProcess) -> dict[str, dict[str, set[str]]]:
    """Wait for the gauges, which follow every few seconds."""
    async with asyncio.timeout(60):
        wanted = {"dedup_consumer_lag_records", "dedup_stalled_seconds"}
        while not wanted <= (samples := exported(worker)).keys():
            await asyncio.sleep(0.2)
    return samples
