"""An independent model of the strategies: dictionaries, and the words of docs/strategies.md."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Event:
    """An event of one product: what it says of it, when, and by which id."""

    content: str
    time_s: int
    event_id: str
    deletes: bool = False


@dataclass
class Model:
    """What a strategy emits of one product: its content, None for a tombstone."""

    strategy: str
    window_s: float
    kind: str = "fixed"
    in_order: bool = True
    emitted: list[str | None] = field(default_factory=list)
    seen: dict[str, float] = field(default_factory=dict)
    newest: float = float("-inf")

    def take(self, event: Event) -> None:
        """Decide on the next event."""
        exists = bool(self.emitted) and self.emitted[-1] is not None
        if self.in_order and event.time_s < self.newest:
            return
        self.newest = max(self.newest, event.time_s)
        by_id = self.strategy == "event_id"
        what = event.event_id if by_id else event.content
        repeats = self.newest - self.seen.get(what, float("-inf")) < self.window_s
        if repeats and (by_id or not event.deletes):
            if self.kind == "sliding":
                self.seen[what] = self.newest
        elif event.deletes and not exists:
            pass
        else:
            if (event.deletes and not by_id) or self.strategy == "latest":
                self.seen.clear()
            if by_id or not event.deletes:
                self.seen[what] = self.newest
            self.emitted.append(None if event.deletes else event.content)
