"""How fast is the deduplicator, and how fast are others that do the same job? `make bench`.

One embedded broker, one seeded input, every contender in processes of its own, in turn: A B C,
A B C, ... A figure counts only if the output of its run equals what the oracle says. What can't run
is reported, never left out. The method is in docs/performance.md; results go to benchmarks/results.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.contender import Contender
from benchmarks.contenders import CONTENDERS
from benchmarks.measuring import measure
from benchmarks.report import RESULTS, command_text, machine, markdown, plot, today, write_result
from benchmarks.rounds import in_turn, say
from benchmarks.workload import produce_workload
from dedup.localkafka import LocalKafka
from producer.events import Mix

JOIN_TOGETHER_MS = 3000
"""How long the broker waits for further members of a new group, so that two workers share the
partitions from the start. Start-up is not in anyone's figure."""


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--products", type=int, default=20_000)
    parser.add_argument("--duplicates", type=float, default=0.3, help="share of all events")
    parser.add_argument("--zipf", type=float, help="skew of the choice of products")
    parser.add_argument("--late", type=float, default=0.0, help="share of all events")
    parser.add_argument("--deletes", type=float, default=0.0, help="share of all events")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--contenders",
        nargs="+",
        metavar="NAME",
        help=f"whole names or beginnings; of {', '.join(each.name for each in CONTENDERS)}",
    )
    parser.add_argument("--name", help="of the result files")
    return parser.parse_args(argv)


def chosen(names: Sequence[str] | None) -> list[Contender]:
    """Return the contenders that `names` name or begin like, in their own order; None: all."""
    known = [each.name for each in CONTENDERS]
    wanted: set[str] = set()
    for name in names or [""]:
        found = [name] if name in known else [each for each in known if each.startswith(name)]
        if not found:
            sys.exit(f"--contenders {name}: there is none; there are {', '.join(known)}")
        wanted.update(found)
    return [each for each in CONTENDERS if each.name in wanted]


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure everything; gives what the result file holds."""
    contenders = chosen(arguments.contenders)
    about = machine()
    mix = Mix(
        products=arguments.products,
        duplicates=arguments.duplicates,
        late=arguments.late,
        deletes=arguments.deletes,
        zipf=arguments.zipf,
    )
    with LocalKafka(
        properties={"group.initial.rebalance.delay.ms": str(JOIN_TOGETHER_MS)}
    ) as kafka:
        say(f"Producing {arguments.events:,} events")
        workload = await produce_workload(
            kafka.bootstrap_servers, arguments.events, mix, arguments.seed
        )
        outcomes = await in_turn(
            contenders,
            arguments.rounds,
            lambda each: measure(each, kafka.bootstrap_servers, kafka.pid, workload),
        )
    return {
        "kind": "throughput",
        "what": "events/s by the broker's clock of the output; see docs/performance.md",
        "command": command_text("benchmarks"),
        "date": today(),
        "machine": about,
        "workload": workload.describe(),
        "contenders": [outcome.record() for outcome in outcomes],
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the result files and print the table; exit 1 if an output was wrong."""
    arguments = arguments_of(argv)
    result = asyncio.run(run(arguments))
    name = arguments.name or f"{today()}-throughput-{arguments.events}"
    write_result(name, result, markdown(result))
    plot(result, RESULTS / f"{name}.svg")
    sys.exit(any(each["failures"] for each in result["contenders"]))


if __name__ == "__main__":
    main()
