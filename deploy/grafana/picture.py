"""Draws the dashboard with data of a real run: broker, producer, workers and Prometheus.

    PROMETHEUS=/usr/bin/prometheus python -m deploy.grafana.picture --seconds 180

Replaces a screenshot if Grafana is not available: the panels, their queries and positions are read
from dashboards/dedup.json, and the data comes from Prometheus' query API.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib import dates

from dedup.localkafka import LocalKafka
from dedup.localkafka.ports import free_port
from tests.support.workers import WorkerProcess

HERE: Final = Path(__file__).parent
DASHBOARD: Final = HERE / "dashboards" / "dedup.json"
STEP_S: Final = 2
VARIABLES: Final = {"$__rate_interval": "20s", "$job": "dedup"}
COLUMNS: Final = 24

Series = tuple[str, list[tuple[float, float]]]


@contextmanager
def prometheus(targets: list[str], directory: Path) -> Iterator[str]:
    """Run Prometheus with these workers as targets; yields its address."""
    port = free_port()
    config = directory / "prometheus.yml"
    scrape = {
        "job_name": "dedup",
        "scrape_interval": f"{STEP_S}s",
        "static_configs": [{"targets": targets}],
    }
    config.write_text(json.dumps({"scrape_configs": [scrape]}))  # JSON is YAML
    command = [
        os.environ.get("PROMETHEUS", "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    process = subprocess.Popen(command)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def query(url: str, expression: str, begin: float, end: float) -> list[dict[str, Any]]:
    """Return the result of a range query."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    arguments = urllib.parse.urlencode(
        {"query": expression, "start": begin, "end": end, "step": STEP_S}
    )
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{arguments}") as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


def series_of(panel: dict[str, Any], url: str, begin: float, end: float) -> list[Series]:
    """Return the series of a panel with their legends."""
    lines: list[Series] = []
    for target in panel["targets"]:
        for result in query(url, target["expr"], begin, end):
            legend = target["legendFormat"]
            for label, value in result["metric"].items():
                legend = legend.replace(f"{{{{{label}}}}}", value)
            points = [(float(at), float(value)) for at, value in result["values"]]
            lines.append((legend, points))
    return lines


def draw(url: str, begin: float, end: float, path: Path) -> None:
    """Draw every panel at its position in the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    rows = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels)
    mpl.rcParams.update({"font.size": 8, "axes.titlesize": 9, "axes.titleweight": "bold"})
    figure = plt.figure(figsize=(15, rows * 0.42), layout="constrained")
    grid = figure.add_gridspec(rows, COLUMNS)
    for panel in panels:
        place = panel["gridPos"]
        axes = figure.add_subplot(
            grid[place["y"] : place["y"] + place["h"], place["x"] : place["x"] + place["w"]]
        )
        axes.set_title(panel["title"], loc="left")
        lines = series_of(panel, url, begin, end)
        if not lines:
            raise SystemExit(f"The panel {panel['title']!r} has no data.")
        if panel["type"] == "stat":
            _stat(axes, panel, lines)
        else:
            _lines(axes, panel, lines)
    figure.savefig(path, dpi=90)


def _stat(axes: Any, panel: dict[str, Any], lines: list[Series]) -> None:
    axes.axis("off")
    value = lines[0][1][-1][1]
    text = {
        "percentunit": f"{value:.1%}",
        "s": f"{value:.2f} s",
        "cps": f"{value:,.0f}/s",
    }.get(panel["fieldConfig"]["defaults"]["unit"], f"{value:,.0f}")
    axes.text(0.5, 0.45, text, ha="center", va="center", fontsize=20, transform=axes.transAxes)


def _lines(axes: Any, panel: dict[str, Any], lines: list[Series]) -> None:
    stacked = "stacking" in panel["fieldConfig"]["defaults"]["custom"]
    times = sorted({at for _, points in lines for at, _ in points})
    moments = [datetime.fromtimestamp(at, UTC) for at in times]
    missing = 0.0 if stacked else float("nan")  # a partition that moved to another worker
    values = [[dict(points).get(at, missing) for at in times] for _, points in lines]
    legends = [legend for legend, _ in lines]
    if stacked:
        axes.stackplot(moments, values, labels=legends, alpha=0.7)
    else:
        for legend, line in zip(legends, values, strict=True):
            axes.plot(moments, line, label=legend, linewidth=1)
    axes.set_ylim(bottom=0)
    unit = panel["fieldConfig"]["defaults"]["unit"]
    axes.set_ylabel({"cps": "per second", "short": ""}.get(unit, unit))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M:%S"))
    axes.xaxis.set_major_locator(dates.AutoDateLocator(maxticks=6))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6, loc="upper left", ncols=2)


def main() -> None:
    """Run everything and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--output", type=Path, default=HERE.parents[1] / "docs" / "dashboard.png")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kafka = stack.enter_context(LocalKafka()).bootstrap_servers
        workers = [WorkerProcess(kafka, directory / f"w{n}", {}) for n in range(2)]
        targets = [f"127.0.0.1:{worker.port}" for worker in workers]
        url = stack.enter_context(prometheus(targets, directory))
        begin = time.time()
        stack.enter_context(workers[0]).wait_until_ready()
        mix = ["--products", "2000", "--late", "0.03", "--deletes", "0.02", "--invalid", "0.01"]
        count = arguments.rate * arguments.seconds
        producing = ["--rate", str(arguments.rate), "--count", str(count), "--quiet"]
        producer = subprocess.Popen(
            [".venv/bin/product-producer", *producing, *mix],
            env=os.environ | {"KAFKA_BOOTSTRAP_SERVERS": kafka},
        )
        stack.callback(producer.wait)
        stack.callback(producer.terminate)
        time.sleep(arguments.seconds / 3)
        stack.enter_context(workers[1]).wait_until_ready()
        time.sleep(arguments.seconds / 2)
        draw(url, begin, time.time(), arguments.output)


if __name__ == "__main__":
    main()
