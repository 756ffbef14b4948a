"""A worker that its consumer group refuses ends with a sentence; one without work is healthy."""

import asyncio
import json
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from faust.assignor.client_assignment import ClientAssignment, ClientMetadata

from dedup.kafka import topics
from dedup.localkafka import LocalKafka
from dedup.settings import load_settings
from tests.broker.newer_groups import member
from tests.support.workers import Names, WorkerProcess


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """A broker that knows share groups and takes two members in a group."""
    with LocalKafka(
        properties={"group.max.size": "2"}, format_options=["--feature", "share.version=1"]
    ) as broker:
        yield broker.bootstrap_servers


class _OursByName(RoundRobinPartitionAssignor):  # type: ignore[misc]
    """The assignor of a plain consumer that the group takes for one of ours."""

    name = "faust"


class _AssignsNothing(_OursByName):
    """The assignor of a leader that gives no partition to anybody."""

    @classmethod
    def assign(cls, _cluster: Any, members: Any) -> Any:
        return {
            name: ConsumerProtocolMemberAssignment(0, [], _nothing(metadata.user_data))
            for name, metadata in members.items()
        }


def _nothing(of_member: bytes) -> bytes:
    """Return what Faust wants to be told beside its assignment, here of none."""
    if not of_member:
        return b""
    worker = ClientMetadata.loads(of_member)
    nothing = worker.derive(assignment=ClientAssignment(actives={}, standbys={}))
    return zlib.compress(nothing.dumps())


@asynccontextmanager
async def plain_consumer(
    kafka: str, names: Names, *assignors: type[RoundRobinPartitionAssignor]
) -> AsyncIterator[None]:
    """A plain consumer that is a member of the worker's group, with its topics there."""
    await topics.ensure_topics(load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings}))
    async with AIOKafkaConsumer(
        names.source,
        bootstrap_servers=kafka,
        group_id=names.group,
        partition_assignment_strategy=assignors or (RoundRobinPartitionAssignor,),
    ):
        yield


async def end_of(worker: WorkerProcess) -> int:
    """Wait for a worker's end while members of this process continue their heartbeats."""
    return await asyncio.to_thread(worker.wait, 90)


async def until(found: Callable[[], Any], timeout_s: float = 90) -> Any:
    """Wait until a call returns something true."""
    deadline = time.monotonic() + timeout_s
    while not (value := await asyncio.to_thread(found)):
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.2)
    return value


def is_member(worker: WorkerProcess) -> float | None:
    """What /metrics says of the membership; None while it can't be read."""
    try:
        return worker.metrics().get("dedup_group_member")
    except OSError:
        return None


def live(worker: WorkerProcess) -> tuple[int, Any]:
    """Status and answer of /livez."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/livez", timeout=30) as page:
            return page.status, json.load(page)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def owned(worker: WorkerProcess) -> list[Any]:
    """The partitions it shows on its overview."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/api/overview", timeout=30) as page:
        return list(json.load(page)["partitions"])


def assert_says_who_to_stop(worker: WorkerProcess, names: Names) -> None:
    log = worker.log()
    assert f"the group DEDUP_APP_ID={names.group} refuses this member: it has other members" in log
    assert "Stop them, or set DEDUP_APP_ID to a name of its own." in log
    assert "Traceback" not in log


async def test_a_group_of_plain_consumers_ends_the_worker_with_a_sentence(
    kafka: str, tmp_path: Path
) -> None:
    """The protocols of the two can't agree: no retry cures that while the consumer stays."""
    names = Names.fresh()
    async with plain_consumer(kafka, names):
        with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
            assert await end_of(worker) == 1
    assert_says_who_to_stop(worker, names)


@pytest.mark.parametrize("kind", ["consumer", "share"])
async def test_a_group_of_a_newer_kind_ends_the_worker_with_the_same_sentence(
    kafka: str, tmp_path: Path, kind: Literal["consumer", "share"]
) -> None:
    """The broker refuses a share group as inconsistent, and knows no reason for the other."""
    names = Names.fresh()
    await topics.ensure_topics(load_settings({"KAFKA_BOOTSTRAP_SERVERS": kafka, **names.settings}))
    async with member(kafka, names.group, names.source, kind):
        with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
            assert await end_of(worker) == 1
    assert_says_who_to_stop(worker, names)


async def test_a_group_that_is_full_ends_the_worker_with_the_limit_s_name(
    kafka: str, tmp_path: Path
) -> None:
    names = Names.fresh()
    async with plain_consumer(kafka, names, _OursByName), plain_consumer(kafka, names, _OursByName):
        with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
            assert await end_of(worker) == 1
    assert "it has as many members as group.max.size of the brokers allows" in worker.log()


async def test_a_worker_beyond_the_number_of_partitions_is_healthy(
    kafka: str, tmp_path: Path
) -> None:
    """It owns nothing because the other owns all there is."""
    settings = {**Names.fresh().settings, "DEDUP_PARTITIONS": "1"}
    with (
        WorkerProcess(kafka, tmp_path / "a", settings) as first,
        WorkerProcess(kafka, tmp_path / "b", settings) as second,
    ):
        for worker in (first, second):
            worker.wait_until_ready()
        await until(lambda: is_member(first) == is_member(second) == 1.0)
        assert (live(first)[0], live(second)[0]) == (200, 200)
        assert sorted(len(owned(each)) for each in (first, second)) == [0, 1]


async def test_a_leader_that_assigns_nothing_leaves_a_worker_that_is_no_full_member(
    kafka: str, tmp_path: Path
) -> None:
    """Partitions have no owner, and this worker has nothing to do: an alert can tell."""
    names = Names.fresh()
    async with plain_consumer(kafka, names, _AssignsNothing):
        with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
            await asyncio.to_thread(worker.wait_until_ready)
            assert await until(lambda: is_member(worker) == 0.0)
            assert live(worker)[0] == 200  # for a minute: a rebalance may be under way


def broken_client(directory: Path, body: str) -> dict[str, str]:
    """Return the environment in which aiokafka's coordinator fails as `body` says."""
    (directory / "sitecustomize.py").write_text(
        "from aiokafka.consumer.group_coordinator import GroupCoordinator\n"
        "from aiokafka.errors import KafkaError\n"
        "completes = GroupCoordinator._on_join_complete\n"
        "errors = [None]\n"
        "async def completes_badly(*arguments):\n"
        f"    {body}\n"
        "GroupCoordinator._on_join_complete = completes_badly\n"
    )
    return {"PYTHONPATH": f"{directory}:."}


async def test_a_client_that_stops_coordinating_ends_the_worker(kafka: str, tmp_path: Path) -> None:
    """Any exception ends aiokafka's routine, and nobody would ever hear of it."""
    settings = {**Names.fresh().settings, **broken_client(tmp_path, "raise ValueError('a bug')")}
    with WorkerProcess(kafka, tmp_path / "state", settings) as worker:
        assert await end_of(worker) == 1
    assert "its client stopped coordinating" in worker.log()
    assert "a bug" in worker.log()


async def test_a_refusal_without_a_reason_is_retried(kafka: str, tmp_path: Path) -> None:
    """The client waits for ever until its error is taken; the worker takes it and joins again."""
    fails_once = "return await completes(*arguments) if not errors else fail(errors.pop())"
    settings = {**Names.fresh().settings, **broken_client(tmp_path, fails_once)}
    with (tmp_path / "sitecustomize.py").open("a") as patch:
        patch.write("def fail(_): raise KafkaError('NobodyKnowsError()')\n")
    with WorkerProcess(kafka, tmp_path / "state", settings) as worker:
        worker.wait_until_ready()
        await until(lambda: is_member(worker) == 1.0)
    assert "NobodyKnowsError" in worker.log()
    assert "The worker is a member of" in worker.log()
