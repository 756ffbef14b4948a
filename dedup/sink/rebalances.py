"""The sink's listener for rebalances."""

from typing import Any

from aiokafka import ConsumerRebalanceListener


class Forgetting(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Forgets all positions at a rebalance, so that assigned partitions are sought again."""

    def __init__(self, places: dict[int, int]) -> None:
        self._places = places

    def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002 - aiokafka's signature
        """Forget them; a batch in flight is applied or rejected by its offset."""
        self._places.clear()

    def on_partitions_assigned(self, assigned: Any) -> None:  # noqa: ARG002
        """Forget those that were sought during the rebalance."""
        self._places.clear()
