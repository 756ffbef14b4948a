"""What a contender is: a name, the processes of one run, and how far its output can be judged."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

from dedup.demo.example import LATEST, Choice

ROOT: Final = Path(__file__).parent.parent


class CouldNotRunError(Exception):
    """Something a contender needs is not there; the text names it and the cure."""


class Judgement(StrEnum):
    """What of a run's output must equal the oracle's before its figure counts."""

    SEQUENCE = "the emitted sequence of every product"
    FINAL_STATE = "the final state of every product"
    EVERY_EVENT = "every event, unchanged"


class SourceForm(StrEnum):
    """How the events that a contender reads are written; they say the same."""

    OWN = "as the event producer of this repository writes them"
    FOREIGN = "as other producers write them"


@dataclass(frozen=True)
class Run:
    """The topics and the directory of one run; all but `source` are its own.

    `warm_up_output` is where a contender that warms up does the whole job once before.
    """

    servers: str
    source: str
    output: str
    dead_letters: str
    group: str
    directory: Path
    warm_up_output: str | None

    def environ(self, **more: str) -> dict[str, str]:
        """Return what a peer's process is told, beside our environment without Kafka's settings."""
        told = {
            "BENCH_SERVERS": self.servers,
            "BENCH_SOURCE": self.source,
            "BENCH_OUTPUT": self.output,
            "BENCH_GROUP": self.group,
            "BENCH_DIRECTORY": str(self.directory),
            "PYTHONPATH": str(ROOT),
        }
        if self.warm_up_output is not None:
            told["BENCH_WARM_UP_OUTPUT"] = self.warm_up_output
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KAFKA_", "DEDUP_"))}
        return kept | told | more


class Command(NamedTuple):
    """One process of a run."""

    arguments: list[str]
    environ: Mapping[str, str]


def _nothing() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Contender:
    """One way of doing the job.

    `commands` gives the processes of a run. `prepare` is called once before the first round: it
    builds what must be built and gives the versions of what will run, or raises CouldNotRunError.
    """

    name: str
    title: str
    commands: Callable[[Run], Sequence[Command]]
    judgement: Judgement = Judgement.SEQUENCE
    prepare: Callable[[], Mapping[str, str]] = _nothing
    warms_up: bool = False
    source_form: SourceForm = SourceForm.OWN
    choice: Choice = LATEST
    """The strategy by whose oracle the output is judged."""
