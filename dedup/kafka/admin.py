"""A connection to the brokers for questions about topics and groups, with retries."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from dedup.core.errors import ExplainedError
from dedup.kafka.broker_errors import brokers_away, refusal
from dedup.kafka.client import adjust_aiokafka
from dedup.kafka.connecting import explain_connection
from dedup.kafka.diagnosis import diagnose
from dedup.kafka.patience import Patience
from dedup.kafka.settings import KafkaSettings

CONNECT_TIMEOUT_S: Final = 30.0

_Answer = TypeVar("_Answer")
_Settings = TypeVar("_Settings", bound=KafkaSettings)

logger = logging.getLogger(__name__)


class TopicError(ExplainedError):
    """A topic can't be used; the text names the setting and the cure."""


class BrokersAwayError(TopicError):
    """The brokers are unavailable for now; a retry may help."""


def waits_for_brokers(
    asks: Callable[[_Settings], Coroutine[Any, Any, _Answer]],
) -> Callable[[_Settings], Coroutine[Any, Any, _Answer]]:
    """Return the function with retries while the brokers are unavailable, for a bounded time."""

    @wraps(asks)
    async def ask(settings: _Settings) -> _Answer:
        # INFO: a command that succeeds in the end shows nothing of its retries.
        patience = Patience(
            "The topics", logger, give_up_after_s=CONNECT_TIMEOUT_S, level=logging.INFO
        )
        while True:
            try:
                answer = await asks(settings)
            except BrokersAwayError as error:
                try:
                    await patience.wait(error)
                except BrokersAwayError:
                    found = await diagnose(settings, settings.topics)
                    raise TopicError(found or str(error)) from error
            else:
                patience.over()
                return answer

    return ask


@asynccontextmanager
async def admin_client(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect, with retries until a broker answers. Raises TopicError, BrokersAwayError."""
    adjust_aiokafka()
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    try:
        await _connect(admin, settings)
        yield admin
    except KafkaError as error:
        kind = BrokersAwayError if brokers_away(error) else TopicError
        raise kind(
            f"The topics at KAFKA_BOOTSTRAP_SERVERS={settings.KAFKA_BOOTSTRAP_SERVERS} can't be "
            f"created or checked: {refusal(error, settings, permission='DESCRIBE')}"
        ) from error
    finally:
        await admin.close()


async def _connect(admin: AIOKafkaAdminClient, settings: KafkaSettings) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CONNECT_TIMEOUT_S
    while True:
        try:
            await admin.start()
        except KafkaConnectionError as error:
            if (why := await explain_connection(settings)) is not None:
                raise TopicError(why) from error  # no retry helps
            if loop.time() > deadline:
                raise TopicError(
                    f"No broker answers at KAFKA_BOOTSTRAP_SERVERS="
                    f"{settings.KAFKA_BOOTSTRAP_SERVERS} ({error}). Start Kafka there, or set "
                    "KAFKA_BOOTSTRAP_SERVERS (and KAFKA_SECURITY_PROTOCOL) to what it listens on."
                ) from error
            await asyncio.sleep(1.0)
        else:
            return
