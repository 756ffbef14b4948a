"""Each strategy in each kind of window: the worker, its Flink reference and a model of it.

The histories are those of the model in `tests.support.strategies`: contents are letters, which
become prices.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final

from dedup.core.keys import Id
from dedup.entities.resolve import DEFAULT
from dedup.parity.compare import RowHistory
from tests.parity import cases
from tests.parity.cases import CASES, named_cases
from tests.parity.suite import Engines, Events
from tests.parity.walks import interleaved
from tests.support.strategies import Event, Model

WINDOW_S: Final = 600
DAWN: Final = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_HISTORY: Final = 1
FIRST_CASE: Final = 10_001
FIRST_WALK: Final = 100_001
_LETTERS: Final = "ABC"
_STEPS_S: Final = (0, 0, 1, 60, 299, 300, 301, 599, 600, 601)
"""From one event to the next: sums that end before, at and after the end of the window."""


@dataclass(frozen=True)
class Chosen:
    """A strategy with its window as settings; without one, the default of `latest`."""

    strategy: str
    kind: str | None = None

    @property
    def name(self) -> str:
        """The words of the run's line."""
        return f"{self.strategy}, {self.kind}" if self.kind else self.strategy

    @property
    def settings(self) -> Mapping[str, str]:
        """The worker's settings."""
        found = {"DEDUP_STRATEGY": self.strategy}
        if self.kind is not None:
            found |= {"DEDUP_WINDOW": str(WINDOW_S), "DEDUP_WINDOW_KIND": self.kind}
        return found

    def engines(
        self, kafka: str, directory: Path, events: Events, entity: str = DEFAULT
    ) -> Engines:
        """Return the engines with this strategy."""
        directory.mkdir()
        return Engines(kafka, directory, events, entity, self.settings)

    def emits(self, events: Iterable[Event]) -> list[str | None]:
        """Return what the model emits of a product."""
        window_s = WINDOW_S if self.kind else float("inf")
        model = Model(self.strategy, window_s, self.kind or "fixed")
        for event in events:
            model.take(event)
        return model.emitted


LATEST: Final = Chosen("latest")
DISTINCT: Final = Chosen("distinct", "fixed")
EVENT_ID: Final = Chosen("event_id", "fixed")
STRATEGIES: Final = (
    LATEST,
    Chosen("latest", "sliding"),
    DISTINCT,
    Chosen("distinct", "sliding"),
    EVENT_ID,
    Chosen("event_id", "sliding"),
)

_A, _B, _C = (Event(letter, 0, f"e{letter}") for letter in _LETTERS)
_AGAIN: Final = Event("A", 60, "e1")
_GONE: Final = Event("", 120, "gone", deletes=True)

HISTORIES: Final[Mapping[str, Sequence[Event]]] = {
    "A, A": [_A, _AGAIN],
    "A, A sent again": [_A, _A],
    "A, B, B": [_A, replace(_B, time_s=60), Event("B", 120, "e2")],
    "A, B, A": [_A, replace(_B, time_s=60), Event("A", 120, "e2")],
    "A, B, A after the window": [_A, replace(_B, time_s=60), Event("A", WINDOW_S, "e2")],
    "A, late B": [replace(_A, time_s=60), _B],
    "A, deleted": [_A, _GONE],
    "A, deleted, A": [_A, _GONE, Event("A", 180, "e2")],
    "A, A, B, A, late C, A sent again, deleted": [
        *(_A, _AGAIN, replace(_B, time_s=120)),
        *(Event("A", 180, "e2"), replace(_C, time_s=90), Event("A", 180, "e2")),
        replace(_GONE, time_s=240),
    ],
}
"""The short histories of the table in docs/flink.md."""

KNOWN_DIFFERENCES: Final[Mapping[str, tuple[Mapping[str, str], Sequence[Event]]]] = {
    "more contents than DEDUP_WINDOW_ENTRIES": (
        {**DISTINCT.settings, "DEDUP_WINDOW_ENTRIES": "1"},
        HISTORIES["A, B, A"],
    ),
    "a delete that deleted nothing, sent again when it would": (
        EVENT_ID.settings,
        [*(replace(_GONE, time_s=0), _A, replace(_GONE, time_s=0))],
    ),
}
"""Settings and a history of each documented difference."""


def source_events(product_id: int, events: Iterable[Event]) -> list[cases.Event]:
    """Return the records of a product's history."""
    make = cases.event_maker(product_id)
    return [
        make(
            str(_price(event.content)),
            at=f"{DAWN + timedelta(seconds=event.time_s):%H:%M:%S}Z",
            action="deleted" if event.deletes else "updated",
            event_id=f"{product_id}-{event.event_id}",
        )
        for event in events
    ]


def _price(content: str) -> Decimal:
    return Decimal(1 + _LETTERS.find(content)).quantize(Decimal("0.01"))


def letters(history: RowHistory) -> list[str | None]:
    """Return the contents of emitted rows, None for a tombstone."""
    return [None if row is None else letter_of(row["price"]) for row in history]


def letter_of(price: Decimal) -> str:
    """Return the letter that stands for a price."""
    return _LETTERS[int(price) - 1]


def walk(random: Random) -> list[Event]:
    """Return a random history: reverts, redeliveries, reused ids, late events, deletes.

    What follows a delete is newer, because the reference remembers deletes that deleted nothing:
    a known difference if one is sent again.
    """
    events: list[Event] = []
    time_s = deleted_s = max(_STEPS_S)
    for number in range(random.randint(5, 25)):
        roll = random.random()
        new = Event(random.choice("AAABBC"), 0, f"e{number}")
        if roll < 0.15 and events:
            events.append(random.choice(events[-4:]))
        elif roll < 0.25:
            events.append(replace(new, time_s=time_s - random.choice(_STEPS_S[2:])))
        else:
            earlier = [event for event in events[-6:] if not event.deletes]
            if roll < 0.4 and earlier:
                new = random.choice(earlier)
            time_s += random.choice(_STEPS_S[2:] if time_s == deleted_s else _STEPS_S)
            deletes = roll > 0.9
            deleted_s = time_s if deletes else deleted_s
            events.append(replace(new, time_s=time_s, deletes=deletes))
    return events


def make_events(seed: int, walks: int) -> tuple[Events, Mapping[int, Sequence[Event]]]:
    """Return the records, and the histories of the model among them by product.

    The named cases of products are among them too: no model judges those.
    """
    random = Random(seed)
    histories = dict(enumerate(HISTORIES.values(), FIRST_HISTORY))
    histories |= {FIRST_WALK + number: walk(random) for number in range(walks)}
    named = named_cases(CASES, FIRST_CASE)
    names: dict[Id, str] = dict(enumerate(HISTORIES, FIRST_HISTORY))
    names |= {product_id: name for product_id, (name, _) in named.items()}
    mixed = [source_events(product_id, history) for product_id, history in histories.items()]
    mixed += [events for _, events in named.values()]
    return Events(interleaved(random, mixed), names, walks), histories


def against_model(
    chosen: Chosen, worker: Mapping[Id, RowHistory], histories: Mapping[int, Sequence[Event]]
) -> list[str]:
    """Return where the worker emits something else than the model."""
    failures = []
    for product_id, events in histories.items():
        found, wanted = letters(worker.get(product_id, ())), chosen.emits(events)
        if found != wanted:
            failures.append(f"{chosen.name}, product {product_id}: {found}, the model {wanted}")
    return failures


async def compare(
    kafka: str, directory: Path, seed: int, walks: int, say: Callable[[str], None]
) -> list[str]:
    """Compare worker, Flink and model under each strategy; return what differs."""
    failures: list[str] = []
    events, histories = make_events(seed, walks)
    for chosen in STRATEGIES:
        engines = chosen.engines(kafka, directory / chosen.name, events)
        await engines.run_worker()
        result = await engines.compare_sequences()
        wrong = against_model(chosen, result.worker, histories)
        emitted = sum(map(len, result.worker.values()))
        say(
            f"{chosen.name}: {len(events.events):,} events, {len(result.worker):,} products, "
            f"{emitted:,} emitted, {dict(result.outcomes)}; {len(result.failures)} differences "
            f"from Flink, {len(wrong)} from the model"
        )
        failures += [f"{chosen.name}: {each}" for each in result.failures] + wrong
    return failures


async def undifferent(kafka: str, directory: Path) -> list[str]:
    """Look at the documented differences of the strategies; return those that are none."""
    gone = []
    for number, (name, (settings, history)) in enumerate(KNOWN_DIFFERENCES.items(), 1):
        events = Events(source_events(number, history), {number: name}, 0)
        (directory / str(number)).mkdir(parents=True)
        engines = Engines(kafka, directory / str(number), events, DEFAULT, settings)
        await engines.run_worker()
        if not await engines.differences():
            gone.append(f"documented as a difference, but equal: {name}")
    return gone
