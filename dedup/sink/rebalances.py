"""What a sink does at a rebalance."""

from typing import Any

from aiokafka import ConsumerRebalanceListener


class Forgetting(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Forgets every place at a rebalance: partitions that come back are placed anew."""

    def __init__(self, places: dict[int, int]) -> None:
        self._places = places

    def on_partitions_revoked(self, revoked: Any) -> None:  # noqa: ARG002 - aiokafka's signature
        """Forget; what is in flight is applied or refused by its offset."""
        self._places.clear()

    def on_partitions_assigned(self, assigned: Any) -> None:  # noqa: ARG002
        """Forget what was placed while the group was deciding."""
        self._places.clear()
