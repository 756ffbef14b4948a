"""What is done to a cluster of three brokers: what operators and failures do to one.

Topics have three replicas, two of which must be in sync; the source, the states and the dead
letters of the run, and the topics of Kafka's coordinators.
"""

import asyncio
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dedup.localkafka.broker import Broker
from dedup.streaming.wiring import SESSION_TIMEOUT_S
from tests.support.administration import admin
from tests.support.kafka_tools import LEADERS, QUORUM, REASSIGNMENTS, SETTINGS, run_tool
from tests.support.workers import WorkerProcess

if TYPE_CHECKING:
    from tests.chaos.actions import Action
    from tests.chaos.harness import Chaos

IN_SYNC_WITHIN_S: Final = 90.0
COORDINATORS: Final = ("__consumer_offsets", "__transaction_state")

TOPIC_SETTINGS: Final = (
    "max.message.bytes=300000",
    "min.insync.replicas=1",
    "compression.type=gzip",
    "retention.ms=86400000",
)
"""What an operator may alter while workers run; the cluster's own values come back after it.

Nothing that lets the states be compacted: what is judged is every emission.
"""


async def in_sync(chaos: "Chaos") -> None:
    """Wait until every partition has all its replicas in sync."""
    deadline = time.monotonic() + IN_SYNC_WITHIN_S
    async with admin(chaos.kafka.bootstrap_servers) as client:
        while time.monotonic() < deadline:
            topics = await client.describe_topics()
            partitions = [partition for topic in topics for partition in topic["partitions"]]
            if all(len(each["isr"]) == len(each["replicas"]) for each in partitions):
                return
            await asyncio.sleep(0.2)
    chaos.expect(False, f"a cluster in sync after {IN_SYNC_WITHIN_S:.0f} s")


async def _restart(chaos: "Chaos", broker: Broker, end: Callable[[], None], away_s: float) -> None:
    await asyncio.to_thread(end)
    chaos.expect(not broker.running, "a broker that ended")
    await asyncio.sleep(away_s)
    await asyncio.to_thread(broker.start)
    await in_sync(chaos)


async def roll(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Restart every broker in turn, as an update does."""
    for broker in chaos.random.sample(chaos.kafka.brokers, 3):
        await _restart(chaos, broker, broker.stop, 0)


async def roll_by_kill(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Kill every broker in turn, and start it again."""
    for broker in chaos.random.sample(chaos.kafka.brokers, 3):
        await _restart(chaos, broker, broker.kill, chaos.random.uniform(0, 3))


async def broker_away(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Kill a broker for longer than a worker's session."""
    broker = chaos.random.choice(chaos.kafka.brokers)
    await _restart(chaos, broker, broker.kill, SESSION_TIMEOUT_S + chaos.random.uniform(1, 5))


async def pause_majority(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Suspend two brokers: too few replicas are in sync, and no controller has a majority."""
    paused = chaos.random.sample(chaos.kafka.brokers, 2)
    for broker in paused:
        broker.pause()
    await asyncio.sleep(chaos.random.uniform(2, SESSION_TIMEOUT_S + 4))
    for broker in paused:
        broker.resume()
    await in_sync(chaos)


async def refuse_writes(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Ask for three replicas in sync while a broker is away: its topics refuse what is written."""
    broker = chaos.random.choice(chaos.kafka.brokers)
    topics = _topics(chaos)
    await _alter(chaos, topics, "--add-config", "min.insync.replicas=3")
    await asyncio.to_thread(broker.stop)
    await asyncio.sleep(chaos.random.uniform(3, 10))
    await asyncio.to_thread(broker.start)
    await _alter(chaos, topics, "--delete-config", "min.insync.replicas")
    await in_sync(chaos)


async def restart_controller(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Restart the broker that is the controller: another one becomes it."""
    before = await _controller(chaos)
    broker = chaos.kafka.brokers[before - 1]
    await _restart(chaos, broker, chaos.random.choice((broker.stop, broker.kill)), 2)
    chaos.expect(await _controller(chaos) != before, "another controller")


async def move_leaders(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Elect other preferred leaders of the partitions that are read and written."""
    await _rotate(chaos, _topics(chaos))


async def move_coordinators(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Move the coordinators of groups and transactions to other brokers, three times."""
    for _ in range(3):
        await _rotate(chaos, COORDINATORS)
        await asyncio.sleep(chaos.random.uniform(0, 2))


async def reassign(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Take a replica of each partition away, and give it back: the data moves."""
    ids = [1, 2, 3]
    away = chaos.random.choice(ids)
    topics = _topics(chaos)
    for brokers in ([each for each in ids if each != away], ids):
        tps = await _replicas(chaos, topics)
        await _assign(chaos, {tp: _rotated(brokers, tp[1]) for tp in tps})
        await in_sync(chaos)


async def alter_settings(chaos: "Chaos", _worker: WorkerProcess) -> None:
    """Alter the settings of the run's topics for some seconds."""
    settings = chaos.random.choice(TOPIC_SETTINGS)
    topics = _topics(chaos)
    await _alter(chaos, topics, "--add-config", settings)
    await asyncio.sleep(chaos.random.uniform(4, 8))
    names = ",".join(each.partition("=")[0] for each in settings.split(","))
    await _alter(chaos, topics, "--delete-config", names)


ON_A_CLUSTER: Final[dict[str, "Action"]] = {
    "roll": roll,
    "roll_by_kill": roll_by_kill,
    "broker_away": broker_away,
    "pause_majority": pause_majority,
    "refuse_writes": refuse_writes,
    "restart_controller": restart_controller,
    "move_leaders": move_leaders,
    "move_coordinators": move_coordinators,
    "reassign": reassign,
    "alter_settings": alter_settings,
}


def _topics(chaos: "Chaos") -> tuple[str, ...]:
    return chaos.names.source, chaos.names.states, chaos.names.dead_letters


def _rotated(brokers: list[int], by: int) -> list[int]:
    by %= len(brokers)
    return brokers[by:] + brokers[:by]


async def _tool(chaos: "Chaos", tool: str, *arguments: str) -> str:
    return await asyncio.to_thread(run_tool, tool, chaos.kafka.bootstrap_servers, *arguments)


async def _controller(chaos: "Chaos") -> int:
    """Return the node id of the active controller."""
    said = await _tool(chaos, QUORUM, "describe", "--status")
    found = re.search(r"^LeaderId:\s+(\d+)$", said, re.MULTILINE)
    assert found, said
    return int(found[1])


async def _alter(chaos: "Chaos", topics: Iterable[str], how: str, settings: str) -> None:
    for topic in topics:
        entity = ("--alter", "--entity-type", "topics", "--entity-name", topic)
        await _tool(chaos, SETTINGS, *entity, how, settings)


async def _rotate(chaos: "Chaos", topics: Iterable[str]) -> None:
    """Elect the next replica of each partition as its leader."""
    before = await _replicas(chaos, topics)
    await _assign(chaos, {tp: _rotated(brokers, 1) for tp, brokers in before.items()})
    await _tool(chaos, LEADERS, "--election-type", "preferred", "--all-topic-partitions")


async def _replicas(chaos: "Chaos", topics: Iterable[str]) -> dict[tuple[str, int], list[int]]:
    """Return the brokers that have each partition, the preferred leader first."""
    async with admin(chaos.kafka.bootstrap_servers) as client:
        return {
            (topic["topic"], partition["partition"]): partition["replicas"]
            for topic in await client.describe_topics(list(topics))
            for partition in topic["partitions"]
        }


async def _assign(chaos: "Chaos", brokers: dict[tuple[str, int], list[int]]) -> None:
    plan = {
        "version": 1,
        "partitions": [
            {"topic": topic, "partition": partition, "replicas": replicas}
            for (topic, partition), replicas in brokers.items()
        ],
    }
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "reassignment.json"
        file.write_text(json.dumps(plan))
        await _tool(chaos, REASSIGNMENTS, "--reassignment-json-file", str(file), "--execute")
