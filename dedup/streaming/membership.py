"""Watches whether the worker is a member of its consumer group, and says why it is not.

aiokafka stops coordinating when the group refuses the client, and waits until somebody asks for the
error; Faust never does. Here an error that a retry may cure is retried for up to `GIVE_UP_AFTER_S`;
any other error stops the worker, and the log says why.

A worker without partitions is healthy while other members own them all. It is not alive once it has
not been a member for `ABSENT_AFTER_S`, or has owned nothing for as long although some partitions
have no owner.
"""

from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

from aiokafka.errors import InconsistentGroupProtocolError, KafkaError
from mode import Service, get_logger

from dedup.core.errors import ExplainedError
from dedup.kafka.broker_errors import refusal, refused_by_group
from dedup.kafka.groups import is_of_another_type, unowned_partitions
from dedup.kafka.patience import GIVE_UP_AFTER_S

if TYPE_CHECKING:
    from dedup.streaming.application import DedupApp

EVERY_S: Final = 1.0
ASKED_EVERY_S: Final = 15.0
"""How often a worker without partitions asks who owns them."""

RETRY_EVERY_S: Final = 5.0
"""How often a worker that was refused tries to rejoin."""

ABSENT_AFTER_S: Final = 60.0
"""How long a worker may not be a member before it is not alive; a rebalance takes up to 30 s."""

logger = get_logger(__name__)


class MembershipError(ExplainedError):
    """The group does not accept the worker; the text names the cure."""


class Membership(Service):
    """Updates `dedup_group_member`, and says for `/livez` why the worker is not alive."""

    def __init__(self, app: "DedupApp", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._app = app
        self._member_at = self._served_at = inf  # before it starts it is not late
        self._asked_at = self._retried_at = 0.0
        self._unowned: list[int] = []
        self._refused: BaseException | None = None

    def complaint(self) -> str | None:
        """Return why the worker is not alive as a member of its group; None while it is."""
        now, settings = monotonic(), self._app.settings
        if now - self._member_at > ABSENT_AFTER_S:
            why = "" if self._refused is None else f": {self._refused!r}"
            return (
                f"The worker has not been a member of the group {settings.DEDUP_APP_ID} for "
                f"{now - self._member_at:.0f} s{why}."
            )
        if now - self._served_at > ABSENT_AFTER_S:
            return (
                f"The worker has owned no partition for {now - self._served_at:.0f} s, while no "
                f"member of {settings.DEDUP_APP_ID} owns the partitions {self._unowned} of "
                f"{settings.KAFKA_PRODUCT_TOPIC}."
            )
        return None

    def refusal(self) -> str | None:
        """Return why the worker rejoins its group; None when it was not refused."""
        if self._refused is None:
            return None
        return f"The group does not accept the worker now ({self._refused!r}); it rejoins."

    @Service.task
    async def _watch(self) -> None:
        self._member_at = self._served_at = monotonic()
        while not self.should_stop:
            coordinator = self._coordinator()
            if coordinator is not None and not coordinator._closing.done():
                self._app.metrics.group_member.set(await self._look(coordinator))
            await self.sleep(EVERY_S)

    def _coordinator(self) -> Any:
        """Return the client's coordinator; None before there is one.

        It belongs to the loop of the consumer thread: here it is only read.
        """
        thread = getattr(self._app._consumer, "_thread", None)
        return getattr(getattr(thread, "_consumer", None), "_coordinator", None)

    async def _look(self, coordinator: Any) -> bool:
        """Return whether the worker is a member that owns partitions if there are any for it."""
        error, routine = coordinator._pending_exception, coordinator._coordination_task
        if routine.done():
            ended = None if routine.cancelled() else routine.exception()
            self._give_up(f"its client stopped coordinating ({ended!r}). Restart the worker.")
        elif error is not None:
            await self._handle(coordinator, error)
        elif _is_member(coordinator):
            self._note_member()
            return await self._is_served()
        elif monotonic() - self._member_at > GIVE_UP_AFTER_S:
            self._give_up(f"it has not been one for {GIVE_UP_AFTER_S:.0f} s. Check the brokers.")
        return False

    async def _handle(self, coordinator: Any, error: BaseException) -> None:
        """Stop the worker, or let the client retry where that may help."""
        settings = self._app.settings
        if isinstance(error, KafkaError) and refused_by_group(error):
            return self._give_up(refusal(error, settings, permission="READ"))
        if monotonic() - self._member_at > GIVE_UP_AFTER_S:
            return self._give_up(f"the brokers answered {error!r} for {GIVE_UP_AFTER_S:.0f} s.")
        if monotonic() - self._retried_at < RETRY_EVERY_S:
            return None
        if await is_of_another_type(settings):
            error = InconsistentGroupProtocolError()
            return self._give_up(refusal(error, settings, permission="READ"))
        if self._refused is None:
            logger.warning("The group %s answers %r; rejoining.", settings.DEDUP_APP_ID, error)
        self._refused, self._retried_at = error, monotonic()
        thread = cast("Any", self._app._consumer)._thread
        thread.thread_loop.call_soon_threadsafe(_rejoin, coordinator)
        return None

    def _give_up(self, why: str) -> None:
        self._app.fail(MembershipError(f"The worker can't be a member of its group: {why}"))

    def _note_member(self) -> None:
        if self._refused is not None:
            group, away = self._app.settings.DEDUP_APP_ID, monotonic() - self._member_at
            logger.warning("The worker is a member of %s again, after %.0f s.", group, away)
        self._refused = None
        self._member_at = monotonic()

    async def _is_served(self) -> bool:
        """Return whether the worker owns a partition, or other members own all of them."""
        source = self._app.settings.KAFKA_PRODUCT_TOPIC
        if any(tp.topic == source for tp in self._app.consumer.assignment()):
            self._unowned = []
        elif monotonic() - self._asked_at > ASKED_EVERY_S:
            self._unowned = await unowned_partitions(self._app.settings, self._app.partitions)
            self._asked_at = monotonic()
        if not self._unowned:
            self._served_at = monotonic()
        return not self._unowned


def _is_member(coordinator: Any) -> bool:
    """Return whether the group has accepted the client, and its heartbeats continue."""
    heartbeats = coordinator._heartbeat_task
    return coordinator.generation > 0 and heartbeats is not None and not heartbeats.done()


def _rejoin(coordinator: Any) -> None:
    """Take the error from the client, which waits for that, and let it rejoin."""
    with suppress(KafkaError):
        coordinator.check_errors()
    coordinator.request_rejoin()
