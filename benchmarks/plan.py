"""What `make bench` measures: which contenders, on which inputs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.contender import Contender
from benchmarks.contenders import CONTENDERS
from producer.events import Mix

PRODUCTS: Final = 20_000

COMPARED: Final = (
    "ours-exactly-once",
    "ours-at-least-once",
    "ours-exactly-once-2-workers",
    "ours-exactly-once-pure",
    "ours-exactly-once-foreign",
    "ours-distinct",
    "ours-event-id",
    "kafka-streams-at-least-once-warm",
    "kafka-streams-at-least-once-2-threads-warm",
    "kafka-streams-exactly-once-v2-warm",
    "kafka-streams-exactly-once-v2-2-threads-warm",
    "quix-at-least-once",
    "quix-exactly-once",
    "bytewax",
    "flink-hashmap-1",
    "flink-pass-through-1",
    "flink-pass-through-2",
    "faust-agent",
)
"""Who is measured on every input."""

README: Final = (
    "ours-exactly-once",
    "ours-exactly-once-2-workers",
    "ours-exactly-once-pure",
    "ours-exactly-once-foreign",
    "kafka-streams-at-least-once-warm",
    "kafka-streams-exactly-once-v2-warm",
    "quix-at-least-once",
    "bytewax",
    "flink-hashmap-1",
    "faust-agent",
)
"""Who is in the table of README, some of those; README is to stay short."""

QUICK: Final = (
    "ours-exactly-once",
    "ours-exactly-once-pure",
    "ours-exactly-once-foreign",
    "kafka-streams-exactly-once-v2-warm",
    "kafka-streams-at-least-once-warm",
    "quix-at-least-once",
    "quix-exactly-once",
    "bytewax",
    "flink-hashmap-1",
)
QUICK_ROUNDS: Final = 3


@dataclass(frozen=True)
class Input:
    """Events to measure on, and the names of the contenders that are; None: all.

    `name` begins the names of the result files; the number of events ends them.
    """

    name: str
    about: str
    mix: Mix
    events: int = 300_000
    contenders: Sequence[str] | None = COMPARED

    def chosen(self) -> list[Contender]:
        """Return the contenders in their own order."""
        return [
            each for each in CONTENDERS if self.contenders is None or each.name in self.contenders
        ]


USUAL: Final = Input(
    "throughput",
    "30 % duplicates, products chosen uniformly",
    Mix(products=PRODUCTS, deletes=0.0),
    contenders=None,
)

INPUTS: Final = {
    "usual": USUAL,
    "million": replace(USUAL, events=1_000_000, contenders=COMPARED, about="1,000,000 of them"),
    "zipf": Input("zipf", "few products have most events", replace(USUAL.mix, zipf=1.0)),
    "new": Input("new", "no duplicates", replace(USUAL.mix, duplicates=0.0)),
    "known": Input("known", "90 % duplicates", replace(USUAL.mix, duplicates=0.9)),
}
"""The inputs by the names of the command line, in the order they are measured."""

QUICK_INPUT: Final = replace(USUAL, name="quick", contenders=QUICK)
