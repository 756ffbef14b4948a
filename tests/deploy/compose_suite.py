"""docker-compose.yml, really run: `make test-compose`.

Built, up, judged, a worker killed and back, down. tests/deploy/engine.py says on which images.
"""

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from dedup.demo.example import differences
from dedup.localkafka.ports import free_port
from tests.deploy.engine import ROOT, Project, engine, run, wait_for
from tests.support.topics import emissions, end_of, judge, read_topic, wait_until_done
from tests.support.workers import Names

pytestmark = pytest.mark.timeout(1800)
TOKEN = "a-token-of-the-test-only"  # noqa: S105
NAMES = Names("products", "src_products", "products.dlq", "product-dedup")
PORTS = ("KAFKA", "WORKER_1", "WORKER_2", "PROMETHEUS", "GRAFANA", "POSTGRES")
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
MAYBE_EMPTY = {"Dead letters by reason", "Recovery"}
"""Panels of which a healthy demo has nothing to show."""

SERVICES = {"kafka", "producer", "worker-1", "worker-2", "postgres", "sink", "prometheus"}


class Demo:
    """The demo while it is up."""

    def __init__(self, compose: Project, ports: dict[str, int]) -> None:
        self.compose = compose
        self.ports = ports
        self.kafka = f"127.0.0.1:{ports['KAFKA']}"

    def get(self, service: str, path: str) -> Any:
        """Return a page's answer, as JSON where it is."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[service]}{path}")
        request.add_header("Authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            body = answer.read().decode()
        return json.loads(body) if body.startswith(("{", "[")) else body

    def query(self, promql: str) -> list[Any]:
        """Ask Prometheus."""
        quoted = urllib.parse.urlencode({"query": promql})
        found: list[Any] = self.get("PROMETHEUS", f"/api/v1/query?{quoted}")["data"]["result"]
        return found

    def healthy(self) -> set[str]:
        """Services that run, and are healthy where they can say so."""
        lines = self.compose("ps", "--format=json").splitlines()
        states = [json.loads(line) for line in lines]
        return {
            state["Service"]
            for state in states
            if state["State"] == "running" and state["Health"] in ("", "healthy")
        }


@pytest.fixture(scope="module")
def docker() -> Iterator[dict[str, str]]:
    """An engine that has our images, built by build-image.sh."""
    with engine() as environ:
        run(ROOT / "deploy/docker/build-image.sh", environ={**environ, "ENGINE": "docker"})
        yield dict(environ)


@pytest.fixture(scope="module")
def demo(docker: dict[str, str]) -> Iterator[Demo]:
    """The demo, up; at the end it must go without a trace."""
    ports = {name: free_port() for name in PORTS}
    chosen = {f"{name}_PORT": str(port) for name, port in ports.items()}
    name = f"dedup-test-{os.getpid()}"
    compose = Project(
        {
            **docker,
            **chosen,
            "COMPOSE_PROJECT_NAME": name,
            "DEDUP_WEB_TOKEN": TOKEN,
            "PRODUCER_RATE": "50",
        }
    )
    try:
        compose("up", "--detach", "--wait", "--no-build", "--quiet-pull")
        yield Demo(compose, ports)
    except BaseException:
        compose("ps", "--all")
        compose("logs", "--tail=30")
        raise
    finally:
        compose("down", "--volumes", "--timeout=30")
    label = f"label=com.docker.compose.project={name}"
    for kind in ("container", "volume", "network"):
        assert run("docker", kind, "ls", "--quiet", "--filter", label, environ=docker) == ""


def test_up_waits_until_every_service_is_healthy(demo: Demo) -> None:
    assert demo.healthy() == SERVICES | {"grafana"}


def test_the_images_run_without_root_on_a_file_system_that_can_t_be_written(demo: Demo) -> None:
    probe = "id -u; (: > /opt/written) 2>/dev/null && echo written; command -v gcc make java; true"
    for service in ("worker-1", "producer", "sink"):
        said = demo.compose("exec", "-T", service, "sh", "-c", probe)
        assert said.split() == ["10001"], said


def test_a_worker_s_pages_ask_for_the_token(demo: Demo) -> None:
    assert "dedup" in demo.get("WORKER_1", "/metrics")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{demo.ports['WORKER_2']}/metrics", timeout=10)


def test_prometheus_scrapes_both_workers_and_knows_the_alerts(demo: Demo) -> None:
    wait_for("second worker that is scraped", lambda: len(demo.query("up{job='dedup'} == 1")) == 2)
    groups = demo.get("PROMETHEUS", "/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    assert [rule["name"] for rule in rules if rule.get("lastError")] == []


def test_grafana_has_the_dashboards_and_their_queries_find_something(demo: Demo) -> None:
    """Every dashboard is provisioned as its file is, and Prometheus answers each panel's queries.

    With the stand-in: that the files are where Grafana looks for them, and that they refer to the
    source that is provisioned. Only IMAGES=real shows that Grafana itself accepts them. That a
    panel is drawn is shown by `make pictures` alone.
    """
    assert demo.get("GRAFANA", "/api/health")["database"]
    files = [json.loads(path.read_text("utf-8")) for path in DASHBOARDS.glob("*.json")]
    assert files
    listed = demo.get("GRAFANA", "/api/search?type=dash-db")
    assert {(each["uid"], each["title"]) for each in listed} == {
        (file["uid"], file["title"]) for file in files
    }
    for file in files:
        given = demo.get("GRAFANA", f"/api/dashboards/uid/{file['uid']}")
        assert given["meta"]["provisioned"]
        assert titles(given["dashboard"]) == titles(file) != []
        for title, query in queries(given["dashboard"]):
            assert query.count("$") == 0, query
            if title not in MAYBE_EMPTY:
                wait_for(f"answer of the panel {title}: {query}", partial(demo.query, query))
            else:
                demo.query(query)  # a query that Prometheus refuses has no data at all


def titles(dashboard: dict[str, Any]) -> list[str]:
    """Return the titles of a dashboard's panels."""
    return [panel["title"] for panel in dashboard["panels"]]


def queries(dashboard: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the queries of each panel, with the variables that Grafana would fill in."""
    values = {"$job": "dedup", "$__rate_interval": "1m"}
    found = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for name, value in values.items():
                query = query.replace(name, value)
            found.append((panel["title"], query))
    return found


async def test_a_killed_worker_is_missed_and_comes_back(demo: Demo) -> None:
    demo.compose("kill", "worker-1")
    assert demo.healthy() == SERVICES - {"worker-1"} | {"grafana"}
    seen = await end_of(demo.kafka, NAMES.source)
    wait_for("worker alone", lambda: len(demo.query("up{job='dedup'} == 1")) == 1)
    demo.compose("up", "--detach", "--wait", "--no-build", "worker-1")
    assert "worker-1" in demo.healthy()
    wait_for("second worker again", lambda: len(demo.query("up{job='dedup'} == 1")) == 2)
    assert await end_of(demo.kafka, NAMES.source) > seen


async def test_what_came_of_it_all_is_what_the_oracle_says(demo: Demo) -> None:
    """Runs last: after the kill, with the producer stopped."""
    demo.compose("stop", "producer")
    await wait_until_done(demo.kafka, NAMES)
    source = await read_topic(demo.kafka, NAMES.source)
    oracle = judge(source)
    states = await read_topic(demo.kafka, NAMES.states)
    assert oracle.outcomes["change"] > 100
    assert oracle.outcomes["duplicate"] > 100
    assert differences(oracle.emitted, emissions(states)) == []

    rows = {}
    for record in (record for records in states.values() for record in records):
        rows[json.loads(record.key)["product_id"]] = record.value and json.loads(record.value)
    expected = sorted(
        [str(key), row["price"], str(row["stock_quantity"])] for key, row in rows.items() if row
    )

    def same() -> bool:
        rows = demo.compose.rows("SELECT product_id, price, stock_quantity FROM products")
        return sorted(rows) == expected

    wait_for("table that equals the topic", same)
