"""A worker that has restarted: what it no longer has in memory is read from Kafka."""

import threading
import urllib.request
from pathlib import Path

from tests.support.records import event
from tests.support.topics import (
    produce,
)
from tests.support.workers import Names, WorkerProcess, wait_until_counted
from tests.web.conftest import (
    LAMP_ID,
    get,
    lamp_history,
    wait_for,
)


async def test_decisions_lost_in_a_restart_are_recomputed_from_kafka(
    kafka: str, tmp_path: Path
) -> None:
    """And an open live page does not keep a worker from ending."""
    names = Names.fresh()
    new_id = LAMP_ID + 1
    records = [(b"%d" % LAMP_ID, value) for value in lamp_history()]
    records.append((b"%d" % new_id, event(new_id, action="created")))
    with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
        url = f"http://127.0.0.1:{worker.port}"
        worker.wait_until_ready()
        await produce(kafka, [*records], names.source)
        wait_until_counted(len(records), worker)
        before = get(f"{url}/api/products/{LAMP_ID}")[1]
        received: list[bytes] = []
        listener = threading.Thread(target=listen, args=(f"{url}/live", received), daemon=True)
        listener.start()
        wait_for(lambda: received)
        assert received[0].startswith(b"data: <h1>Overview")
        assert worker.terminate() == 0
        listener.join(5)
        assert not listener.is_alive()
        worker.log_path.unlink()
        worker.start()
        worker.wait_until_ready()
        after, new = (get(f"{url}/api/products/{i}")[1] for i in (LAMP_ID, new_id))
    assert "was read from the source topic" in after["note"]
    (told,) = after["decisions"]
    asked = ("outcome", "why", "emits", "event_id", "offset", "comparisons")
    assert [told[name] for name in asked] == [before["decisions"][0][name] for name in asked]
    assert {**after, **dict.fromkeys(("note", "decisions", "decided"))} == {
        **before,
        **dict.fromkeys(("note", "decisions", "decided")),
    }
    assert new["decisions"][0]["outcome"] == "change"
    assert new["decisions"][0]["why"].startswith("This event wrote the row")


def listen(url: str, received: list[bytes]) -> None:
    """Read a live page until the worker ends it."""
    with urllib.request.urlopen(url, timeout=30) as stream:  # noqa: S310 - our own server
        received.extend(stream)
