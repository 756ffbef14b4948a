"""What generated events are made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mix:
    """What the events are made of; every share is one of all events, from 0 to 1.

    A share is a probability, and an upper bound: an event that can't be made yet (no content to
    repeat, nothing to delete) becomes a new one. `deletes=None` makes one of five new events of an
    existing product a delete. `zipf` skews the choice of products: that of number n has the weight
    1 / n ** zipf. Values out of range are a ValueError.

    `redeliveries` come again with the same event_id and a new time; `reverts` give a product the
    content of an earlier event (A, B, A).
    """

    products: int = 8
    duplicates: float = 0.3
    late: float = 0.0
    deletes: float | None = None
    partial: float = 0.0
    invalid: float = 0.0
    zipf: float | None = None
    redeliveries: float = 0.0
    reverts: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for what can't be generated."""
        shares = (
            *(self.duplicates, self.late, self.deletes or 0.0, self.partial, self.invalid),
            *(self.redeliveries, self.reverts),
        )
        if self.products < 1:
            raise ValueError("at least one product is needed")
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError("every share must be from 0 to 1")
        if sum(shares) > 1 + 1e-9:  # 0.1 + 0.2 + 0.7 is more than 1 in floating point
            raise ValueError("the shares add up to more than 1")
        if self.zipf is not None and not 0 <= self.zipf < float("inf"):
            raise ValueError("the skew must be 0 or more")
