"""How fast is the deduplicator, and how fast are others that do the same job? `make bench`.

One embedded broker, seeded inputs, every contender in processes of its own, in turn: A B C,
A B C, ... A figure counts only if the output of its run equals what the oracle says. What can't run
is reported, never left out. The method is in docs/performance.md; results go to benchmarks/results
after each run of a contender, so `--resume DATE` continues a benchmark that was stopped.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from benchmarks import bars
from benchmarks.contender import Contender
from benchmarks.contenders import CONTENDERS
from benchmarks.plan import INPUTS, QUICK_INPUT, QUICK_ROUNDS, USUAL, Input
from benchmarks.report import RESULTS, markdown, plot, read_results, today, write_result
from benchmarks.rounds import say
from benchmarks.throughput import Measured, load, measure_input
from producer.events import Mix

ROUNDS = 5


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    inputs = "; ".join(f"{name}: {each.about}" for name, each in INPUTS.items())
    inputs = inputs.replace("%", "%%")  # argparse formats what it is given
    parser.add_argument(
        "--inputs", nargs="+", choices=INPUTS, metavar="INPUT", help=f"all, or some of: {inputs}"
    )
    parser.add_argument("--events", type=int, help="of each input, instead of its own number")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS}; {QUICK_ROUNDS} with --quick")
    own = parser.add_argument_group("one input of your own, instead of --inputs")
    own.add_argument("--products", type=int)
    own.add_argument("--duplicates", type=float, help="share of all events")
    own.add_argument("--zipf", type=float, help="skew of the choice of products")
    own.add_argument("--late", type=float, help="share of all events")
    own.add_argument("--deletes", type=float, help="share of all events")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--contenders",
        nargs="+",
        metavar="NAME",
        help=f"whole names or beginnings; of {', '.join(each.name for each in CONTENDERS)}",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="the usual input, the default worker and whom it is compared with, in 40 minutes",
    )
    parser.add_argument(
        "--resume",
        type=date.fromisoformat,
        metavar="DATE",
        help="continue the run that began on that day",
    )
    parser.add_argument("--name", help="of the result files of a single input")
    arguments = parser.parse_args(argv)
    arguments.rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    arguments.planned = inputs_of(arguments)
    arguments.begun = arguments.resume.isoformat() if arguments.resume else today()
    if arguments.name and len(arguments.planned) > 1:
        parser.error("--name is of a single input: choose one by --inputs")
    return arguments


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


def inputs_of(arguments: argparse.Namespace) -> list[Input]:
    """Return the inputs that a command line asks for, each with its contenders."""
    shares = ("products", "duplicates", "zipf", "late", "deletes")
    own = {name: getattr(arguments, name) for name in shares}
    own = {name: value for name, value in own.items() if value is not None}
    if own:
        mix: Mix = replace(USUAL.mix, **own)
        inputs = [replace(USUAL, name="own", mix=mix)]
    elif arguments.quick:
        inputs = [QUICK_INPUT]
    else:
        inputs = [INPUTS[name] for name in arguments.inputs or INPUTS]
    if arguments.events:
        inputs = [replace(each, events=arguments.events) for each in inputs]
    if arguments.contenders:
        names = [each.name for each in chosen(arguments.contenders)]
        inputs = [replace(each, contenders=names) for each in inputs]
    return inputs


def run(arguments: argparse.Namespace) -> list[Measured]:
    """Measure every input; what is done is written after each run of a contender."""
    measured = []
    for planned in arguments.planned:
        name = arguments.name or f"{arguments.begun}-{planned.name}-{planned.events}"
        this = Measured(name, planned, arguments.rounds, arguments.seed)
        measured.append(this)
        if arguments.resume:
            load(this)
            if this.is_finished():
                say(f"{name}: complete")
                continue
        say(f"{name}: {planned.about}, contenders: {len(planned.chosen())}")
        try:
            asyncio.run(measure_input(this))
        finally:  # also of one that was stopped
            if this.workloads:
                result = this.result()
                write_result(name, result, markdown(result))
                plot(result, RESULTS / f"{name}.svg")
    return measured


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, write the result files, print tables and bars; exit 1 if an output was wrong."""
    arguments = arguments_of(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        measured = run(arguments)
    except KeyboardInterrupt:
        sys.exit(f"Stopped. To continue, add --resume {arguments.begun} to the command.")
    bars.show(read_results(RESULTS))
    sys.exit(any(outcome.failures for each in measured for outcome in each.outcomes))


if __name__ == "__main__":
    main()
