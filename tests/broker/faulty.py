"""A client of Kafka whose requests go wrong at a chosen phase; the broker is the real one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError

PHASES: Final = (
    "FindCoordinatorRequest",
    "InitProducerIdRequest",
    "AddPartitionsToTxnRequest",
    "AddOffsetsToTxnRequest",
    "TxnOffsetCommitRequest",
    "ProduceRequest",
    "EndTxnRequest",
)
"""The requests of a producer in one transaction, in their order."""

OF_A_TRANSACTION: Final = PHASES[2:]

Fault = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Gets what sends the request; returns an answer or raises in its place."""


@dataclass
class Faults:
    """What is to go wrong, by the name of the request: the first of each list comes next."""

    planned: dict[str, list[Fault]] = field(default_factory=dict)
    happened: list[str] = field(default_factory=list)

    def plan(self, phase: str, fault: Fault) -> None:
        self.planned.setdefault(phase, []).append(fault)

    def take(self, phase: str) -> Fault | None:
        planned = self.planned.get(phase)
        if not planned:
            return None
        self.happened.append(phase)
        return planned.pop(0)


@contextmanager
def faulty_client() -> Iterator[Faults]:
    """Let the faults that are planned strike, in every client of this process."""
    faults = Faults()
    send = AIOKafkaClient.send

    async def faulty_send(self: Any, node: Any, request: Any, **arguments: Any) -> Any:
        fault = faults.take(type(request).__name__)
        if fault is None:
            return await send(self, node, request, **arguments)
        return await fault(lambda: send(self, node, request, **arguments))

    with mock.patch.object(AIOKafkaClient, "send", faulty_send):
        yield faults


async def never_sent(_send: Callable[[], Awaitable[Any]]) -> Any:
    """Lose the request."""
    raise KafkaConnectionError("lost before it was sent")


async def answer_lost(send: Callable[[], Awaitable[Any]]) -> Any:
    """Let the request take effect and lose the answer."""
    await send()
    raise KafkaConnectionError("lost after it was sent")


def answered(code: int) -> Fault:
    """Let the request take effect, and answer with an error code in place of the broker's."""

    async def fault(send: Callable[[], Awaitable[Any]]) -> Any:
        return _with_code(await send(), code)

    return fault


def delayed(seconds: float) -> Fault:
    """Send the request late."""

    async def fault(send: Callable[[], Awaitable[Any]]) -> Any:
        await asyncio.sleep(seconds)
        return await send()

    return fault


def _with_code(response: Any, code: int) -> Any:
    """Put an error code into an answer, wherever its kind has them."""
    if hasattr(response, "error_code"):
        response.error_code = code
    elif hasattr(response, "topic_errors"):
        response.topic_errors = [(t, code, *rest) for t, _, *rest in response.topic_errors]
    elif hasattr(response, "resources"):
        response.resources = [(code, *rest) for _, *rest in response.resources]
    elif hasattr(response, "errors"):
        response.errors = [(t, [(p, code) for p, _ in ps]) for t, ps in response.errors]
    else:
        response.topics = [
            (topic, [(p, code, *rest) for p, _, *rest in ps]) for topic, ps in response.topics
        ]
    return response
