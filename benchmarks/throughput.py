"""The measuring of one input: all rounds of its contenders, kept in a file as they are done."""

import json
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from benchmarks.contender import Contender, SourceForm
from benchmarks.foreign import in_other_forms
from benchmarks.measuring import measure
from benchmarks.plan import Input
from benchmarks.report import RESULTS, command_text, machine, today, write_json
from benchmarks.rounds import Outcome, in_turn, say
from benchmarks.workload import Workload, produce_workload
from dedup.demo.example import LATEST, Choice
from dedup.localkafka import OPTIMISED, LocalKafka

JOIN_TOGETHER_MS: Final = 3000
"""How long the broker waits for further members of a new group, so that two workers share the
partitions from the start. Start-up is not in anyone's figure."""


@dataclass
class Measured:
    """What is known of one input: its result file is made of it, finished or not."""

    name: str
    planned: Input
    rounds: int
    seed: int
    outcomes: list[Outcome] = field(default_factory=list)
    workloads: dict[SourceForm, Workload] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=machine)

    def is_finished(self) -> bool:
        """Say whether every contender that can run has had all its rounds."""
        done = {
            outcome.name
            for outcome in self.outcomes
            if outcome.could_not_run is not None or outcome.attempts() >= self.rounds
        }
        return done >= {each.name for each in self.planned.chosen()}

    def result(self) -> dict[str, Any]:
        """Return what the result file holds."""
        described = {form: workload.describe() for form, workload in self.workloads.items()}
        result = {
            "kind": "throughput",
            "what": "events/s by the broker's clock of the output; see docs/performance.md",
            "command": command_text("benchmarks"),
            "date": today(),
            "machine": self.about,
            "rounds": self.rounds,
            "finished": self.is_finished(),
            "workload": described[SourceForm.OWN],
            "contenders": [outcome.record() for outcome in self.outcomes],
        }
        if SourceForm.FOREIGN in described:
            result["workload_in_other_forms"] = described[SourceForm.FOREIGN]
        return result

    def keep(self) -> None:
        """Write what is known so far."""
        write_json(self.name, self.result())


def load(measured: Measured) -> None:
    """Take the rounds that an earlier run of the same name has done, if there was one."""
    path = RESULTS / f"{measured.name}.json"
    if not path.exists():
        say(f"{path.name}: not started yet")
        return
    result = json.loads(path.read_text())
    measured.outcomes = [Outcome.of_record(each) for each in result["contenders"]]
    mix, seed = result["workload"], result["workload"]["seed"]
    wanted = (measured.planned.mix.duplicates, measured.planned.mix.zipf, measured.seed)
    if (mix["duplicates"], mix["zipf"], seed) != wanted:
        sys.exit(f"--resume: {path.name} is of another input or seed")


async def measure_input(measured: Measured) -> None:
    """Measure all rounds of an input on a broker of its own."""
    planned, contenders = measured.planned, measured.planned.chosen()
    properties = {
        "group.initial.rebalance.delay.ms": str(JOIN_TOGETHER_MS),
        "log.retention.bytes": "-1",
    }
    with LocalKafka(properties=properties, jvm_options=OPTIMISED) as kafka:
        say(f"Producing {planned.events:,} events")
        servers = kafka.bootstrap_servers
        workload = await produce_workload(servers, planned.events, planned.mix, measured.seed)
        measured.workloads[SourceForm.OWN] = workload
        if any(each.source_form is SourceForm.FOREIGN for each in contenders):
            measured.workloads[SourceForm.FOREIGN] = await in_other_forms(servers, workload)

        before = measured.outcomes
        others = [each for each in before if each.name not in {c.name for c in contenders}]

        def take(outcomes: list[Outcome]) -> None:
            measured.outcomes = outcomes + others
            measured.keep()

        @cache  # an oracle takes seconds
        def judged(form: SourceForm, choice: Choice) -> Workload:
            workload = measured.workloads[form]
            return workload if choice == LATEST else workload.judged_by(choice)

        async def once(contender: Contender) -> Any:
            workload = judged(contender.source_form, contender.choice)
            return await measure(contender, servers, kafka.pid, workload)

        take(await in_turn(contenders, measured.rounds, once, before=before, keep=take))
