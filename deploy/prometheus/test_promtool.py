"""Checks with promtool: the configuration, the alerts, and the metrics of a running worker."""

import os
import subprocess
import urllib.request
from pathlib import Path

import pytest

from dedup.localkafka import LocalKafka
from tests.support.workers import Names, WorkerProcess

HERE = Path(__file__).parent


def promtool(*arguments: str, given: bytes = b"") -> None:
    """Run promtool; its output is the failure message."""
    done = subprocess.run(
        [os.environ["PROMTOOL"], *arguments],
        cwd=HERE,
        input=given,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", "prometheus.yml")


def test_each_alert_fires_and_does_not_where_it_should() -> None:
    promtool("test", "rules", "alerts_test.yml")


def test_promtool_does_find_an_alert_that_does_not_fire(tmp_path: Path) -> None:
    """The test above can fail: without the alert its cases do."""
    rules = (HERE / "alerts.yml").read_text("utf-8")
    (tmp_path / "alerts.yml").write_text(rules.replace("dedup_products", "dedup_product"))
    cases = tmp_path / "alerts_test.yml"
    cases.write_text((HERE / "alerts_test.yml").read_text("utf-8"))
    with pytest.raises(AssertionError, match="DedupStateEmpty"):
        promtool("test", "rules", str(cases))


def test_the_metrics_of_a_running_worker_are_clean(tmp_path: Path) -> None:
    with (
        LocalKafka() as kafka,
        WorkerProcess(
            kafka.bootstrap_servers, tmp_path / "state", Names.fresh().settings
        ) as worker,
    ):
        worker.wait_until_ready()
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics") as page:
            promtool("check", "metrics", given=page.read())
