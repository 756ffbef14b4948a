"""A worker on a topic of another shape: it says within its first events what to set."""

import json
import urllib.request
from pathlib import Path

from tests.golden.files import ROOT
from tests.support.topics import produce
from tests.support.workers import Names, WorkerProcess, wait_until_counted

EVENTS = 25


def warning_of(worker: WorkerProcess) -> str:
    """Return what the readiness says of dead letters; the worker is ready all the same."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/readyz", timeout=30) as page:
        assert page.status == 200
        said: str = json.load(page)["warnings"]["dead_letters"]
    return said


async def test_products_expected_debezium_read(kafka: str, tmp_path: Path) -> None:
    """The log, the readiness and the metric say so; a green page alone would hide it."""
    file = ROOT / "debezium" / "1" / "postgresql_create.json"
    value = json.dumps(json.loads(file.read_text("utf-8"))["value"]).encode()
    names = Names.fresh()
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        worker.wait_until_ready()
        assert worker.metrics()["dedup_mostly_dead_letters"] == 0
        await produce(kafka, [(b'{"id":%d}' % n, value) for n in range(EVENTS)], names.source)
        wait_until_counted(EVENTS, worker)
        said = warning_of(worker)
        assert worker.metrics()["dedup_mostly_dead_letters"] == 1
        lines = [line for line in worker.log().splitlines() if "WARNING" in line]
    wanted = "This looks like an event of Debezium: set envelope=Debezium() in the entity that "
    assert wanted in said
    assert len(lines) == 1, lines
    assert wanted in lines[0]
