"""Whatever becomes of a producer in a transaction, its output stands once on the topics.

The broker is real; requests go wrong in the client, at a phase that is chosen. The oracle is what
was to be published: one state and one dead letter for each offset, in order.
"""

import asyncio
import json
import logging
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import (
    BrokerNotAvailableError,
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaStorageError,
    LeaderNotAvailableError,
    NotCoordinatorError,
    OutOfOrderSequenceNumber,
    RequestTimedOutError,
    TransactionCoordinatorFenced,
    UnknownError,
    UnknownProducerId,
)

from dedup.localkafka import LocalKafka
from dedup.localkafka.ports import free_port
from dedup.streaming import publisher as publishing
from dedup.streaming.output import FencedError, PublishError
from tests.broker.faulty import (
    OF_A_TRANSACTION,
    PHASES,
    Fault,
    Faults,
    answer_lost,
    answered,
    delayed,
    faulty_client,
    never_sent,
)
from tests.broker.publishing import GUARANTEES, a_publisher, assert_exact, no, output
from tests.support.records import event
from tests.support.topics import produce, read_topic, wait_until_done
from tests.support.workers import Names, WorkerProcess

ANSWERS = (
    BrokerNotAvailableError,
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    KafkaStorageError,
    LeaderNotAvailableError,
    NotCoordinatorError,
    OutOfOrderSequenceNumber,
    RequestTimedOutError,
    TransactionCoordinatorFenced,
    UnknownError,
    UnknownProducerId,
)
"""What time or a new producer cures; UnknownError stands for answers the client has no name for."""


@pytest.fixture
def faults() -> Iterator[Faults]:
    with faulty_client() as made:
        yield made


@pytest.mark.parametrize("guarantee", GUARANTEES)
@pytest.mark.parametrize("fault", [never_sent, answer_lost], ids=["unsent", "unanswered"])
async def test_an_output_stands_once_whichever_request_is_lost(
    kafka: str, faults: Faults, fault: Fault, guarantee: str
) -> None:
    """A connection may break before a request arrives, or before its answer does."""
    names = Names.fresh()
    async with a_publisher(kafka, names, guarantee) as publisher:
        for number, phase in enumerate(PHASES):
            faults.plan(phase, fault)
            await publisher.publish(output(number))
    await assert_exact(kafka, names, guarantee, len(PHASES))


@pytest.mark.parametrize("guarantee", GUARANTEES)
@pytest.mark.parametrize("phase", OF_A_TRANSACTION)
async def test_an_output_stands_once_whatever_the_broker_answers(
    kafka: str, faults: Faults, phase: str, guarantee: str
) -> None:
    """The request took effect, also the commit, and the answer says something else."""
    names = Names.fresh()
    async with a_publisher(kafka, names, guarantee) as publisher:
        for number, answer in enumerate(ANSWERS):
            faults.plan(phase, answered(answer.errno))
            await publisher.publish(output(number))
    await assert_exact(kafka, names, guarantee, len(ANSWERS))


@pytest.mark.parametrize("guarantee", GUARANTEES)
@pytest.mark.parametrize("seed", range(3))
async def test_outputs_stand_once_through_faults_at_random(
    kafka: str, faults: Faults, seed: int, guarantee: str
) -> None:
    """Also through faults while a producer is recreated after another fault."""
    names, chance = Names.fresh(), random.Random(seed)
    kinds: list[Callable[[], Fault]] = [
        lambda: never_sent,
        lambda: answer_lost,
        lambda: answered(chance.choice(ANSWERS).errno),
    ]
    async with a_publisher(kafka, names, guarantee) as publisher:
        for number in range(15):
            for _ in range(chance.randint(0, 2)):
                phase = chance.choice(PHASES)
                kind = chance.choice(kinds[:2] if phase in PHASES[:2] else kinds)
                faults.plan(phase, kind())
            await publisher.publish(output(number))
    assert faults.happened
    await assert_exact(kafka, names, guarantee, 15)


async def test_a_transaction_that_the_brokers_ended_is_done_again(faults: Faults) -> None:
    """A worker that was suspended, or a broker that was, for longer than the transaction's timeout.

    The brokers raise the producer's epoch then, which looks as if another worker had taken over.
    """
    properties = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "200"}
    names = Names.fresh()
    with (
        pytest.MonkeyPatch.context() as patch,
        LocalKafka(port=free_port(), properties=properties) as broker,
    ):
        patch.setattr(publishing, "TRANSACTION_TIMEOUT_MS", 1_000)
        async with a_publisher(broker.bootstrap_servers, names) as publisher:
            await publisher.publish(output(0))
            for number, phase in enumerate(OF_A_TRANSACTION[1:], 1):
                faults.plan(phase, delayed(2.5))
                await publisher.publish(output(number))
        await assert_exact(broker.bootstrap_servers, names, "exactly_once", len(OF_A_TRANSACTION))


async def test_a_producer_that_the_brokers_have_forgotten_is_recreated(
    tmp_path: Path,
) -> None:
    """Seven days without an event are enough, by the default of transactional.id.expiration.ms."""
    properties = {
        "transactional.id.expiration.ms": "1000",
        "transaction.remove.expired.transaction.cleanup.interval.ms": "200",
        "producer.id.expiration.ms": "1000",
        "producer.id.expiration.check.interval.ms": "200",
    }
    names = Names.fresh()
    with LocalKafka(port=free_port(), properties=properties) as broker:
        kafka = broker.bootstrap_servers
        with WorkerProcess(kafka, tmp_path / "state", names.settings) as worker:
            worker.wait_until_ready()
            for number in (1, 2):
                await produce(
                    kafka, [(b"1", event(number=number, price=f"{number}.00"))], names.source
                )
                await wait_until_done(kafka, names)
                await asyncio.sleep(4 if number == 1 else 0)
            assert worker.alive, worker.log()
            assert not [line for line in worker.log().splitlines() if " WARNING dedup" in line]
            assert "InvalidProducerIdMapping" in worker.log()
        rows = [r for rs in (await read_topic(kafka, names.states)).values() for r in rs]
        assert [json.loads(row.value)["last_event_id"] for row in rows] == ["evt_1", "evt_2"]


@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_a_broker_that_restarts_in_a_transaction_is_waited_for(
    faults: Faults, guarantee: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Cleanly or by a kill, before a request arrives or after it took effect."""
    names, chance = Names.fresh(), random.Random(guarantee)
    phases = OF_A_TRANSACTION if guarantee == "exactly_once" else OF_A_TRANSACTION[-2:]
    with LocalKafka(port=free_port()) as broker, caplog.at_level(logging.INFO, "dedup"):
        restarts: list[asyncio.Future[None]] = []

        def broken(*, killed: bool, after: bool) -> Fault:
            async def fault(send: Callable[[], Any]) -> Any:
                if after:
                    await send()
                if killed:
                    broker.kill()
                restarts.append(asyncio.ensure_future(asyncio.to_thread(broker.restart)))
                await asyncio.sleep(0.3)
                return await (answer_lost(send) if not after else never_sent(send))

            return fault

        async with a_publisher(broker.bootstrap_servers, names, guarantee) as publisher:
            for number, phase in enumerate(phases):
                killed, after = chance.random() < 0.5, chance.random() < 0.5
                faults.plan(phase, broken(killed=killed, after=after))
                await publisher.publish(output(number))
                await asyncio.gather(*restarts)
        await assert_exact(broker.bootstrap_servers, names, guarantee, len(phases))
    ours = [r for r in caplog.records if r.name.startswith("dedup")]
    waits = [r for r in ours if r.levelno == logging.WARNING]
    assert len(waits) <= len(phases), [r.message for r in waits]


async def test_a_worker_that_lost_its_partition_stops_no_other_one(kafka: str) -> None:
    """Whatever fails: a new producer of the old owner would fence the new one."""
    names = Names.fresh()
    async with (
        a_publisher(kafka, names, is_member=no) as old,
        a_publisher(kafka, names) as new,
    ):
        with pytest.raises(FencedError, match="was taken over by another worker"):
            await old.publish(output(0))
        await new.publish(output(0))
        with pytest.raises(FencedError):  # what comes after the batch that was dropped
            await old.publish(output(1))
        await new.publish(output(1))
    await assert_exact(kafka, names, "exactly_once", 2)


@pytest.mark.parametrize("guarantee", GUARANTEES)
async def test_an_output_of_events_that_somebody_else_has_done_is_dropped(
    kafka: str, guarantee: str
) -> None:
    """The group may take a suspended worker for the owner until a moment before it is not."""
    names = Names.fresh()
    async with a_publisher(kafka, names, guarantee) as old:
        await old.publish(output(0))
        async with a_publisher(kafka, names, guarantee) as new:
            larger = output(1)
            larger.source_offset = 3
            larger.emissions = [*larger.emissions, *output(2).emissions]
            larger.dead_letters += output(2).dead_letters
            await new.publish(larger)
            with pytest.raises(FencedError):
                await old.publish(output(1))
    await assert_exact(kafka, names, guarantee, 3)


async def test_a_refusal_for_good_is_told_at_once(kafka: str, faults: Faults) -> None:
    """No time cures a missing permission."""
    async with a_publisher(kafka, Names.fresh()) as publisher:
        faults.plan("AddOffsetsToTxnRequest", answered(30))
        async with asyncio.timeout(20):
            with pytest.raises(PublishError, match="lacks the permission READ on the group"):
                await publisher.publish(output(0))
